#include "server/store/postgres_store.h"

#include <memory>
#include <utility>

#include "server/store/complete_onboarding.h"
#include "server/store/get_profile.h"
#include "server/store/upsert_user.h"

namespace userprofile::store {
namespace {

Lane::Options LaneOptions(const PostgresStoreOptions& options, const char* name,
                          int workers) {
  Lane::Options lane;
  lane.workers = workers;
  lane.max_batch = options.max_batch;
  lane.max_in_flight = options.max_in_flight;
  lane.explain_schema_error = options.explain_schema_error;
  if (options.on_health) {
    lane.on_health = [report = options.on_health, name](const auto& status) {
      report(name, status);
    };
  }
  lane.grace = options.health_grace;
  lane.metrics = LaneMetrics(options.metrics, name);
  return lane;
}

Lane::Options OnboardingLaneOptions(const PostgresStoreOptions& options) {
  Lane::Options lane =
      LaneOptions(options, "complete_onboarding", options.onboarding_workers);
  lane.idempotent = false;
  return lane;
}

}  // namespace

PostgresStore::PostgresStore(PostgresStoreOptions options)
    : reads_(LaneOptions(options, "get_profile", options.read_workers),
             [&] {
               return std::make_unique<GetProfileExecutor>(options.connect);
             }),
      upserts_(LaneOptions(options, "upsert_user", options.upsert_workers),
               [&] {
                 return std::make_unique<UpsertUserExecutor>(
                     options.connect, options.clock, options.contact_interval);
               }),
      onboarding_(OnboardingLaneOptions(options), [&] {
        return std::make_unique<CompleteOnboardingExecutor>(options.connect,
                                                            options.clock);
      }) {}

void PostgresStore::UpsertUser(const v1::UpsertUserRequest& request,
                               v1::UpsertUserResponse* response,
                               CallContext context, Done done) {
  upserts_.Submit(std::make_unique<UpsertUserOperation>(
      request, response, std::move(context), std::move(done)));
}

void PostgresStore::GetProfile(const v1::GetProfileRequest& request,
                               v1::GetProfileResponse* response,
                               CallContext context, Done done) {
  reads_.Submit(std::make_unique<GetProfileOperation>(
      request, response, std::move(context), std::move(done)));
}

void PostgresStore::CompleteOnboarding(
    const v1::CompleteOnboardingRequest& request,
    v1::CompleteOnboardingResponse* response, CallContext context, Done done) {
  onboarding_.Submit(std::make_unique<CompleteOnboardingOperation>(
      request, response, std::move(context), std::move(done)));
}

void PostgresStore::Shutdown(base::SteadyTime deadline) {
  reads_.Shutdown(deadline);
  upserts_.Shutdown(deadline);
  onboarding_.Shutdown(deadline);
}

}  // namespace userprofile::store
