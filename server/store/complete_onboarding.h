#ifndef USERPROFILE_SERVER_STORE_COMPLETE_ONBOARDING_H_
#define USERPROFILE_SERVER_STORE_COMPLETE_ONBOARDING_H_

#include <cstdint>
#include <utility>

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
      : Operation(std::move(context), std::move(done), q.user_id()),
        request(q),
        response(r) {}

  const v1::CompleteOnboardingRequest& request;
  v1::CompleteOnboardingResponse* const response;
};

// Carries out a batch, of different users, as one statement. A nickname that is
// taken fails the statement: the lane finds whose it is.
class CompleteOnboardingExecutor final : public SessionExecutor {
 public:
  CompleteOnboardingExecutor(postgres::SessionFactory connect,
                             base::Clock clock);

  absl::Status Execute(absl::Span<Operation* const> batch) override;

 private:
  // Whether the error of a statement for one user says that the nickname is
  // taken.
  bool SaysNicknameTaken(const absl::Status& error);

  const base::Clock clock_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_COMPLETE_ONBOARDING_H_
