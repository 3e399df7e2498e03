#ifndef USERPROFILE_CLIENT_ADAPTER_BATCHING_CLIENT_H_
#define USERPROFILE_CLIENT_ADAPTER_BATCHING_CLIENT_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// A client that sends contacts that wait together, by BatchUpsertUsers: that
// costs both ends less. None waits to be joined by others: while fewer than
// some calls are under way, what comes is sent at once. Each has its own
// answer, and is tried again as UpsertUser is: what a batch could not do for
// now goes again alone, and so does all of a batch that the server can't take
// as one. Other calls go as they are. Thread-safe.
class BatchingClient final : public client::ProfileClient {
 public:
  explicit BatchingClient(std::unique_ptr<client::ProfileClient> client)
      : client_(std::move(client)) {}
  ~BatchingClient() override;

  absl::StatusOr<Message> Call(const google::protobuf::MethodDescriptor& method,
                               Message request) override;
  void Start(const google::protobuf::MethodDescriptor& method, Message request,
             client::Done<Message> done) override;

 private:
  struct Contact {
    std::unique_ptr<v1::UpsertUserRequest> request;
    client::Done<Message> done;
  };
  using Contacts = std::vector<Contact>;

  // Sends what waits, if a call may begin.
  void SendWaiting();
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

  base::Mutex mutex_;
  base::CondVar idle_;
  std::deque<Contact> waiting_ ABSL_GUARDED_BY(mutex_);
  int places_taken_ ABSL_GUARDED_BY(mutex_) = 0;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;  // of contacts, under way
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_BATCHING_CLIENT_H_
