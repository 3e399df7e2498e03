#ifndef USERPROFILE_CLIENT_PROFILE_CLIENT_H_
#define USERPROFILE_CLIENT_PROFILE_CLIENT_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include <grpcpp/channel.h>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/recognition.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::client {

// How a ProfileClient behaves.
struct ClientOptions {
  // A call that has no answer after this time fails with DEADLINE_EXCEEDED. The
  // time includes waiting for the server to come up and all retries: shorter
  // than the server's restart, and a restart is seen by users.
  absl::Duration timeout = absl::Seconds(10);
};

// Called once with the outcome of a call, on a thread of gRPC's. Must not block
// and must not destroy the client.
template <typename Response>
using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

// A connection to the user-profile service. Make one per process and share it:
// it is thread-safe, and carries any number of calls at once over one channel.
//
// The calls mean what userprofile/v1/user_profile_service.proto says, and so do
// their errors; errors.h says how to read the reason of one. No error ever
// means that a user is new.
//
// While the server is away, calls wait for it. A call that fails with
// UNAVAILABLE is tried again, five times in all over about four seconds, within
// its timeout. All three calls are safe to repeat like that, even when the
// first try did take effect: a repeated UpsertUser counts as one more contact
// (and says `created = false` if the lost answer said true), a repeated
// CompleteOnboarding with the same answers is OK (with `already_completed`).
class ProfileClient {
 public:
  // `server` is HOST:PORT or any other gRPC target. Connects at the first call.
  // The connection is not encrypted.
  explicit ProfileClient(const std::string& server,
                         const ClientOptions& options = {});

  // Waits for the calls under way, which takes the timeout at most.
  ~ProfileClient();

  ProfileClient(const ProfileClient&) = delete;
  ProfileClient& operator=(const ProfileClient&) = delete;

  // Records a contact and tells who it is. To be called on every contact.
  absl::StatusOr<Recognition> Recognize(const v1::UpsertUserRequest& contact);
  void Recognize(v1::UpsertUserRequest contact, Done<Recognition> done);

  absl::StatusOr<v1::UpsertUserResponse> UpsertUser(
      const v1::UpsertUserRequest& request);
  void UpsertUser(v1::UpsertUserRequest request,
                  Done<v1::UpsertUserResponse> done);

  absl::StatusOr<v1::GetProfileResponse> GetProfile(
      const v1::GetProfileRequest& request);
  void GetProfile(v1::GetProfileRequest request,
                  Done<v1::GetProfileResponse> done);

  absl::StatusOr<v1::CompleteOnboardingResponse> CompleteOnboarding(
      const v1::CompleteOnboardingRequest& request);
  void CompleteOnboarding(v1::CompleteOnboardingRequest request,
                          Done<v1::CompleteOnboardingResponse> done);

 private:
  template <typename Response, typename Request, typename Method>
  absl::StatusOr<Response> Call(Method method, const Request& request);
  template <typename Response, typename Request, typename Method>
  void Start(Method method, Request request, Done<Response> done);
  void Prepare(grpc::ClientContext& context) const;
  absl::Status ToStatus(const grpc::Status& status) const;

  const std::string server_;
  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::UserProfileService::Stub> stub_;

  std::mutex mutex_;
  std::condition_variable idle_;
  int calls_under_way_ = 0;  // those with a callback; protected by mutex_
};

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_PROFILE_CLIENT_H_
