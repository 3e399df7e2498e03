#ifndef USERPROFILE_SERVER_STORE_PROFILE_STORE_H_
#define USERPROFILE_SERVER_STORE_PROFILE_STORE_H_

#include <functional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::store {

// Called once with the outcome of a call, from any thread, perhaps before the
// call returns. Must not block.
using Done = absl::AnyInvocable<void(absl::Status)>;

// Where a call's time went.
struct CallTimes {
  // Waiting for its statement: behind others, for a connection, or for a
  // database that was away.
  absl::Duration queue;

  // In statements, those of all tries.
  absl::Duration database;
};

// What a call knows of its caller.
struct CallContext {
  // The answer is of no use after this time.
  base::SteadyTime deadline = base::SteadyTime::InfiniteFuture();

  // Whether the caller gave up; called from any thread, until Done is. Empty
  // means never.
  std::function<bool()> cancelled = nullptr;

  // Where to write the times, before Done is called; may be null.
  CallTimes* times = nullptr;
};

// Stores users. The calls mean what UserProfileService says in
// userprofile/v1/user_profile_service.proto, and so do their errors; the
// requests have been validated, with phone numbers in E.164 form.
//
// The calls are asynchronous: `request` and `*response` must live until `done`
// is called, which happens exactly once for each call, whatever fails. On an
// error `*response` is unspecified. Thread-safe.
class ProfileStore {
 public:
  virtual ~ProfileStore() = default;

  virtual void UpsertUser(const v1::UpsertUserRequest& request,
                          v1::UpsertUserResponse* response, CallContext context,
                          Done done) = 0;

  virtual void GetProfile(const v1::GetProfileRequest& request,
                          v1::GetProfileResponse* response, CallContext context,
                          Done done) = 0;

  virtual void CompleteOnboarding(const v1::CompleteOnboardingRequest& request,
                                  v1::CompleteOnboardingResponse* response,
                                  CallContext context, Done done) = 0;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_PROFILE_STORE_H_
