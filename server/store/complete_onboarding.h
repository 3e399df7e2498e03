#ifndef USERPROFILE_SERVER_STORE_COMPLETE_ONBOARDING_H_
#define USERPROFILE_SERVER_STORE_COMPLETE_ONBOARDING_H_

#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/clock.h"
#include "server/store/session_executor.h"

namespace userprofile::store {

// Whether a profile that has completed onboarding holds these answers: every
// answer that is given, for those that are not given keep what is stored.
bool HoldsAnswers(const v1::Profile& profile,
                  const v1::OnboardingAnswers& answers);

// One CompleteOnboarding call.
struct CompleteOnboardingOperation final : Operation {
  CompleteOnboardingOperation(const v1::CompleteOnboardingRequest& q,
                              v1::CompleteOnboardingResponse* r,
                              CallContext context, Done done)
      : Operation(std::move(context), std::move(done)),
        request(q),
        response(r) {}

  const v1::CompleteOnboardingRequest& request;
  v1::CompleteOnboardingResponse* const response;
};

// Carries out a batch as one statement, with one operation per user. A nickname
// that is taken fails the statement: the lane finds whose it is.
class CompleteOnboardingExecutor final : public SessionExecutor {
 public:
  CompleteOnboardingExecutor(postgres::SessionFactory connect,
                             base::Clock clock);

  void BeginBatch() override { users_.clear(); }
  bool Admit(const Operation& operation) override;
  absl::Status Execute(absl::Span<Operation* const> batch) override;

 private:
  const base::Clock clock_;
  absl::flat_hash_set<std::int64_t> users_;  // of the batch under collection
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_COMPLETE_ONBOARDING_H_
