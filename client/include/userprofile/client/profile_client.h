#ifndef USERPROFILE_CLIENT_PROFILE_CLIENT_H_
#define USERPROFILE_CLIENT_PROFILE_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "userprofile/client/recognition.h"
#include "userprofile/v1/user_profile_service.pb.h"
#include "userprofile/v1/user_profile_service_methods.h"

namespace userprofile::client {

// How the connection is encrypted. All files are PEM.
struct TlsOptions {
  // Whom to believe that a certificate is the server's; empty for those that
  // gRPC finds on the system.
  std::string ca_file;

  // The certificate that this client shows, and its key; both or none.
  std::string certificate_file;
  std::string key_file;
};

// How a ProfileClient behaves.
struct ClientOptions {
  // A call that has no answer after this time fails with DEADLINE_EXCEEDED. The
  // time includes waiting for the server to come up and all retries: shorter
  // than the server's restart, and a restart is seen by users.
  absl::Duration timeout = absl::Seconds(10);

  // Without it, the connection is not encrypted.
  absl::optional<TlsOptions> tls;

  // Sent with each call as "authorization: Bearer ..."; needs tls, on loopback
  // too. Empty for none.
  std::string token;
};

// Called once with the outcome of a call, on one of the few threads that gRPC
// has for the callbacks of a process. Must not block and must not destroy the
// client.
template <typename Response>
using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

// The user-profile service, as a bot calls it. MakeProfileClient() makes the
// real one; mock_profile_client.h has one for tests of what calls it. Make one
// per process and share it: it is thread-safe, and carries any number of calls
// at once.
//
// The calls mean what userprofile/v1/user_profile_service.proto says, and so do
// their errors; errors.h says how to read the reason of one. No error ever
// means that a user is new.
//
//   const auto who = client.Recognize(contact);
//   const auto found = client.GetProfile(request);
//   client.GetProfile(request, [](auto found) { ... });
class ProfileClient {
 public:
  using Message = std::unique_ptr<google::protobuf::Message>;

  // A method of the service: to be called with the request, and to be waited
  // for; or with a callback beside it.
  template <typename Request, typename Response>
  class Method {
   public:
    Method(ProfileClient& client, const char* name)
        : client_(client),
          method_(MethodOf(name, *Request::descriptor(),
                           *Response::descriptor())) {}
    Method(const Method&) = delete;
    Method& operator=(const Method&) = delete;

    absl::StatusOr<Response> operator()(const Request& request) const {
      return ResponseOf(
          client_.Call(method_, std::make_unique<Request>(request)));
    }
    void operator()(Request request, Done<Response> done) const {
      client_.Start(
          method_, std::make_unique<Request>(std::move(request)),
          [done = std::move(done)](absl::StatusOr<Message> response) mutable {
            done(ResponseOf(std::move(response)));
          });
    }

   private:
    static absl::StatusOr<Response> ResponseOf(
        absl::StatusOr<Message> response) {
      if (!response.ok()) return response.status();
      return std::move(static_cast<Response&>(**response));
    }

    ProfileClient& client_;
    const google::protobuf::MethodDescriptor& method_;
  };

  // Waits for the calls under way, which takes the timeout at most.
  virtual ~ProfileClient() = default;

  ProfileClient(const ProfileClient&) = delete;
  ProfileClient& operator=(const ProfileClient&) = delete;

  // Records a contact by UpsertUser and tells who it is. To be called on every
  // contact.
  absl::StatusOr<Recognition> Recognize(const v1::UpsertUserRequest& contact);
  void Recognize(v1::UpsertUserRequest contact, Done<Recognition> done);

  // Each method of UserProfileService, under its name: UpsertUser, GetProfile,
  // and so on.
#define USERPROFILE_METHOD(Name) \
  const Method<v1::Name##Request, v1::Name##Response> Name{*this, #Name};
  USERPROFILE_V1_METHODS(USERPROFILE_METHOD)
#undef USERPROFILE_METHOD

  // Given each event of a watch; whether to go on with it.
  using OnEvent = std::function<bool(const v1::WatchProfilesResponse& event)>;

  // Follows WatchProfiles from the token of the request, on the calling thread,
  // until `on_event` returns false; then OK. Where a server stops, or says
  // nothing for 30 s, it goes on by itself after the last event, on another one
  // or the next; so what has been dealt with is what on_event returned for.
  // It must have returned before the client is destroyed. To end it from
  // elsewhere, let the next event, which comes within ten seconds while a
  // server is there, return false. Returns the error if that has not worked for
  // as long as the client's timeout; and at once such as OUT_OF_RANGE with
  // TOKEN_EXPIRED, which trying again does not mend.
  virtual absl::Status Watch(v1::WatchProfilesRequest request,
                             const OnEvent& on_event);

  // Calls any method of the service, with a message of its input type; the
  // answer is one of its output type. Call() waits for what Start() brings;
  // that of the real client needs no other thread for it, and so may be waited
  // for on gRPC's own, too.
  virtual absl::StatusOr<Message> Call(
      const google::protobuf::MethodDescriptor& method, Message request);
  virtual void Start(const google::protobuf::MethodDescriptor& method,
                     Message request, Done<Message> done) = 0;

 protected:
  ProfileClient() = default;

  // The method of the service of that name. Ends the program if it takes or
  // gives other messages than these.
  static const google::protobuf::MethodDescriptor& MethodOf(
      const char* name, const google::protobuf::Descriptor& request,
      const google::protobuf::Descriptor& response);
};

// A client of the service at `server`: HOST:PORT, where HOST may be a DNS name
// of several servers, among which calls take turns, or any other gRPC target.
// Connects at the first call. INVALID_ARGUMENT, with a sentence, if the options
// make no sense or a file can't be read.
//
// While the server is away, calls wait for it. A call that fails with
// UNAVAILABLE, or with CANCELLED as a server that stops can end it, is tried
// again, five times in all over about four seconds, within its timeout. All
// calls are safe to repeat like that, even when the first try did take
// effect: a repeated UpsertUser counts as one more contact (and says `created =
// false` if the lost answer said true), a repeated CompleteOnboarding with the
// same answers is OK (with `already_completed`).
absl::StatusOr<std::unique_ptr<ProfileClient>> MakeProfileClient(
    const std::string& server, const ClientOptions& options = {});

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_PROFILE_CLIENT_H_
