#ifndef USERPROFILE_SERVER_STORE_FAKE_STORE_H_
#define USERPROFILE_SERVER_STORE_FAKE_STORE_H_

#include <cstdint>

#include "absl/container/btree_map.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/store/profile_store.h"

namespace userprofile::store {

// Keeps users in memory, for tests of what uses a store. Answers every call
// before it returns. Passes the conformance suite that PostgresStore passes.
class FakeStore final : public ProfileStore {
 public:
  explicit FakeStore(base::Clock clock = absl::Now);

  void UpsertUser(const v1::UpsertUserRequest& request,
                  v1::UpsertUserResponse* response, CallContext context,
                  Done done) override;
  void GetProfile(const v1::GetProfileRequest& request,
                  v1::GetProfileResponse* response, CallContext context,
                  Done done) override;
  void CompleteOnboarding(const v1::CompleteOnboardingRequest& request,
                          v1::CompleteOnboardingResponse* response,
                          CallContext context, Done done) override;

 private:
  absl::Status Complete(const v1::CompleteOnboardingRequest& request,
                        v1::CompleteOnboardingResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock clock_;
  base::Mutex mutex_;
  absl::btree_map<std::int64_t, v1::Profile> users_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_FAKE_STORE_H_
