#include "client/adapter/batching_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "userprofile/client/errors.h"

namespace userprofile::adapter {
namespace {

// As many contacts at a time as twice the calls that a connection may have: a
// server holds some thousand for all its callers.
constexpr int kMostCalls = 8;
constexpr std::size_t kMostContacts = 16;

// How soon a server that does not know the method is asked again.
constexpr absl::Duration kAskAgain = absl::Minutes(1);

bool IsContact(const google::protobuf::MethodDescriptor& method) {
  return method.input_type() == v1::UpsertUserRequest::descriptor();
}

// Whether it says nothing of what is in the batch: a server that does not know
// the method yet, or takes no message of that size.
bool IsRefusedAsBatch(const absl::Status& status) {
  return absl::IsUnimplemented(status) || absl::IsInvalidArgument(status) ||
         absl::IsFailedPrecondition(status) ||
         (absl::IsResourceExhausted(status) && client::Reason(status).empty());
}

absl::StatusOr<client::ProfileClient::Message> ToMessage(
    absl::StatusOr<v1::UpsertUserResponse> response) {
  if (!response.ok()) return response.status();
  return std::make_unique<v1::UpsertUserResponse>(*std::move(response));
}

// What the real client tries again.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status);
}

}  // namespace

BatchingClient::~BatchingClient() {
  base::MutexLock lock(mutex_);
  while (calls_ > 0) idle_.Wait(mutex_);
}

absl::StatusOr<client::ProfileClient::Message> BatchingClient::Call(
    const google::protobuf::MethodDescriptor& method, Message request) {
  return IsContact(method) ? ProfileClient::Call(method, std::move(request))
                           : client_->Call(method, std::move(request));
}

void BatchingClient::Start(const google::protobuf::MethodDescriptor& method,
                           Message request, client::Done<Message> done) {
  if (!IsContact(method)) {
    {
      base::MutexLock lock(mutex_);
      ++calls_;
    }
    return client_->Start(
        method, std::move(request),
        [this, done = std::move(done)](absl::StatusOr<Message> answer) mutable {
          done(std::move(answer));
          EndCall(/*has_place=*/false);
        });
  }
  const base::SteadyTime now = clock_();
  Contact contact = {
      std::unique_ptr<v1::UpsertUserRequest>(
          static_cast<v1::UpsertUserRequest*>(request.release())),
      std::move(done), now + timeout_};
  bool alone = false;
  {
    base::MutexLock lock(mutex_);
    alone = alone_until_ > now;
  }
  if (alone) return SendAlone(std::move(contact), /*has_place=*/false);
  {
    base::MutexLock lock(mutex_);
    waiting_.push_back(std::move(contact));
  }
  SendWaiting();
}

void BatchingClient::SendWaiting() {
  Contacts late;
  Contacts contacts;
  {
    base::MutexLock lock(mutex_);
    if (places_taken_ >= kMostCalls) return;
    late = TakeLate();
    contacts = TakeWaiting();
    if (!contacts.empty()) ++places_taken_;
  }
  for (Contact& contact : late) {
    contact.done(absl::DeadlineExceededError(
        absl::StrCat("the service answers no contact within ",
                     absl::FormatDuration(timeout_))));
  }
  if (contacts.empty()) return;
  if (contacts.size() == 1) {
    SendAlone(std::move(contacts.front()), /*has_place=*/true);
  } else {
    SendBatch(std::move(contacts));
  }
}

BatchingClient::Contacts BatchingClient::TakeLate() {
  Contacts late;
  const base::SteadyTime now = clock_();
  while (!waiting_.empty() && waiting_.front().until <= now) {
    late.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return late;
}

BatchingClient::Contacts BatchingClient::TakeWaiting() {
  Contacts contacts;
  while (!waiting_.empty() && contacts.size() < kMostContacts) {
    contacts.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return contacts;
}

void BatchingClient::SendBatch(Contacts contacts) {
  {
    base::MutexLock lock(mutex_);
    ++calls_;
  }
  v1::BatchUpsertUsersRequest request;
  for (const Contact& contact : contacts) {
    *request.add_requests() = *contact.request;
  }
  client_->BatchUpsertUsers(
      std::move(request),
      [this, contacts = std::move(contacts)](
          absl::StatusOr<v1::BatchUpsertUsersResponse> response) mutable {
        Answer(std::move(contacts), std::move(response));
        EndCall(/*has_place=*/true);
      });
}

void BatchingClient::SendAlone(Contact contact, bool has_place) {
  {
    base::MutexLock lock(mutex_);
    ++calls_;
  }
  client_->UpsertUser(
      std::move(*contact.request),
      [this, has_place, done = std::move(contact.done)](
          absl::StatusOr<v1::UpsertUserResponse> response) mutable {
        done(ToMessage(std::move(response)));
        EndCall(has_place);
      });
}

void BatchingClient::EndCall(bool has_place) {
  if (has_place) {
    {
      base::MutexLock lock(mutex_);
      --places_taken_;
    }
    SendWaiting();
  }
  base::MutexLock lock(mutex_);
  if (--calls_ == 0) idle_.SignalAll();
}

void BatchingClient::Answer(
    Contacts contacts, absl::StatusOr<v1::BatchUpsertUsersResponse> response) {
  if (absl::IsUnimplemented(response.status())) {
    base::MutexLock lock(mutex_);
    alone_until_ = clock_() + kAskAgain;
  }
  for (std::size_t i = 0; i < contacts.size(); ++i) {
    Contact& contact = contacts[i];
    absl::Status status = response.status();
    bool again = response.ok() || IsRefusedAsBatch(status);
    const auto place = static_cast<int>(i);
    if (response.ok() && place < response->results_size()) {
      v1::UpsertUserResult& result = *response->mutable_results(place);
      if (result.has_response()) {
        contact.done(ToMessage(std::move(*result.mutable_response())));
        continue;
      }
      status = client::FromRpcStatus(result.error());
      again = MayPass(status) && contact.until > clock_();
    }
    if (again) {
      SendAlone(std::move(contact), /*has_place=*/false);
    } else {
      contact.done(std::move(status));
    }
  }
}

}  // namespace userprofile::adapter
