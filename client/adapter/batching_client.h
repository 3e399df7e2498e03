#ifndef USERPROFILE_CLIENT_ADAPTER_BATCHING_CLIENT_H_
#define USERPROFILE_CLIENT_ADAPTER_BATCHING_CLIENT_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// A client that sends contacts that wait together, by BatchUpsertUsers: that
// costs both ends less. None waits to be joined by others: while fewer than
// eight calls are under way, what comes is sent at once. Each has its own
// answer, and is tried again as UpsertUser is: what a batch could not do for
// now goes again alone, and so does all of a batch that the server can't take
// as one. A contact that takes its time keeps those it is sent with waiting
// until the timeout, so they are few. Other calls go as they are. What is
// called back may call again. Thread-safe.
class BatchingClient final : public client::ProfileClient {
 public:
  // `timeout` is that of the client: who has waited for so long for a place is
  // told so. What was sent shortly before may take as long again.
  BatchingClient(std::unique_ptr<client::ProfileClient> client,
                 absl::Duration timeout,
                 base::SteadyClock clock = base::SteadyTime::Now)
      : client_(std::move(client)),
        timeout_(timeout),
        clock_(std::move(clock)) {}
  ~BatchingClient() override;

  absl::StatusOr<Message> Call(const google::protobuf::MethodDescriptor& method,
                               Message request) override;
  void Start(const google::protobuf::MethodDescriptor& method, Message request,
             client::Done<Message> done) override;

 private:
  struct Contact {
    std::unique_ptr<v1::UpsertUserRequest> request;
    client::Done<Message> done;
    base::SteadyTime until;
  };
  using Contacts = std::vector<Contact>;

  // Sends what waits, if a call may begin.
  void SendWaiting();
  Contacts TakeLate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Contacts TakeWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendBatch(Contacts contacts);
  void SendAlone(Contact contact, bool has_place);

  // The last thing that a call does. `has_place`: it was one of so many that
  // may be under way.
  void EndCall(bool has_place);

  // Tells who waits for the contacts of a batch what became of them.
  void Answer(Contacts contacts,
              absl::StatusOr<v1::BatchUpsertUsersResponse> response);

  const std::unique_ptr<client::ProfileClient> client_;
  const absl::Duration timeout_;
  const base::SteadyClock clock_;

  base::Mutex mutex_;
  base::CondVar idle_;
  std::deque<Contact> waiting_ ABSL_GUARDED_BY(mutex_);

  // Of the calls that may be under way. What goes again alone has none, for the
  // batch that it comes from ends only afterwards.
  int places_taken_ ABSL_GUARDED_BY(mutex_) = 0;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;  // under way

  // Until when the server is believed not to know the method.
  base::SteadyTime alone_until_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_BATCHING_CLIENT_H_
