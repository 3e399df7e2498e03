#include "server/api/watch_call.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <utility>

#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/api/status.h"
#include "server/api/watch_token.h"
#include "server/store/errors.h"

namespace userprofile::api {
namespace {

// About as much is read at a time.
constexpr std::size_t kBytesRead = 1024 * 1024;

absl::Status TookNothing() {
  return base::MakeError(absl::StatusCode::kCancelled,
                         "the caller took no event for too long",
                         v1::ERROR_REASON_CANCELLED);
}

}  // namespace

WatchCall* WatchCall::Start(const Method& method, store::ProfileStore& store,
                            std::shared_ptr<Watchers> watchers,
                            grpc::CallbackServerContext* context,
                            const grpc::ByteBuffer& request) {
  const auto call =
      Make<WatchCall>(method, store, std::move(watchers), context);
  call->EndStep(call->Admit(request));
  return call.get();
}

WatchCall::WatchCall(const Method& method, store::ProfileStore& store,
                     std::shared_ptr<Watchers> watchers,
                     grpc::CallbackServerContext* context)
    : StreamReactor(std::move(watchers)),
      method_(method),
      store_(store),
      context_(context),
      call_(method, context),
      step_(Step::kAdmit) {}

absl::Status WatchCall::Admit(const grpc::ByteBuffer& request) {
  USERPROFILE_RETURN_IF_ERROR(call_.Admit(request, &request_));
  USERPROFILE_ASSIGN_OR_RETURN(place_, streams().Enter(call_.caller().name));
  return absl::OkStatus();
}

void WatchCall::Advance() {
  {
    base::MutexLock lock(mutex_);
    is_wanted_ = true;
    if (std::exchange(is_advancing_, true)) return;
  }
  while (IsWanted()) BeginStep();
}

bool WatchCall::IsWanted() {
  base::MutexLock lock(mutex_);
  is_advancing_ = std::exchange(is_wanted_, false);
  return is_advancing_;
}

void WatchCall::BeginStep() {
  switch (ChooseStep()) {
    case Step::kNone:
    case Step::kAdmit:
      return;
    case Step::kReadKey:
      return ReadKey();
    case Step::kReadPage:
      return ReadPage();
    case Step::kWrite:
      if (absl::Status status = call_.AdmitAgain(); !status.ok()) {
        return EndStep(std::move(status));
      }
      return StartWrite(&buffer_);
    case Step::kBreak:
      streams().options().before_break();
      return context_->TryCancel();
    case Step::kFinish:
      break;
  }
  absl::Status status;
  absl::Duration duration;
  {
    base::MutexLock lock(mutex_);
    status = Verdict();
    duration = first_.value_or(base::SteadyTime::Now() - call_.arrival());
  }
  place_.reset();
  call_.End(status, duration, {});
  Finish(ToGrpcStatus(status));
}

WatchCall::Step WatchCall::ChooseStep() {
  base::MutexLock lock(mutex_);
  const WatchOptions& options = streams().options();
  const base::SteadyTime now = base::SteadyTime::Now();
  const absl::Duration patience =
      streams().closed() ? std::min(options.patience, options.patience_at_end)
                         : options.patience;
  if (step_ == Step::kWrite && !broken_ && now - written_ >= patience) {
    broken_ = true;
    return Step::kBreak;
  }
  if (step_ != Step::kNone) return Step::kNone;
  if (!Verdict().ok()) return step_ = Step::kFinish;
  if (key_.empty())
    return streams().admits() ? step_ = Step::kReadKey : Step::kNone;
  // A place that was read from is told at once, and then now and then, be it
  // that much is to be read of which nothing is to be told.
  const bool is_placed = after_.has_value() && has_read_;
  const bool is_due =
      is_placed && (!first_.has_value() ||
                    (streams().looks() && now - written_ >= options.heartbeat));
  if (next_ >= page_.changes.size() && !is_due) {
    const bool may_be_more = page_.more || news_ != streams().news();
    if (!may_be_more || !streams().admits()) return Step::kNone;
    news_ = streams().news();
    return step_ = Step::kReadPage;
  }
  PrepareEvent();
  written_ = now;
  if (!first_.has_value()) first_ = now - call_.arrival();
  return step_ = Step::kWrite;
}

absl::Status WatchCall::Verdict() {
  if (broken_) return TookNothing();
  if (cancelled_) return store::Cancelled();
  if (!failure_.ok()) return failure_;
  return streams().closed() ? store::ShuttingDown() : absl::OkStatus();
}

void WatchCall::PrepareEvent() {
  v1::WatchProfilesResponse event;
  if (next_ < page_.changes.size()) {
    store::Change& change = page_.changes[next_++];
    event = std::move(change.event);
    event.set_resume_token(WatchToken(key_, request_.filter(), change.place));
  } else {
    event.set_resume_token(WatchToken(key_, request_.filter(), *after_));
  }
  if (!call_.caller().pii) method_.personal_data.Withhold(&event);
  bool own_buffer;
  buffer_.Clear();
  const grpc::Status written =
      grpc::SerializationTraits<google::protobuf::Message>::Serialize(
          event, &buffer_, &own_buffer);
  if (!written.ok()) failure_ = store::Internal();
}

void WatchCall::ReadKey() {
  store_.ReadTokenKey(
      &key_, {base::SteadyTime::InfiniteFuture(), [this] { return over(); }},
      [this, self = self()](absl::Status status) { OnKey(std::move(status)); });
}

void WatchCall::OnKey(absl::Status status) {
  if (status.ok() && request_.has_resume_token()) {
    auto place = PlaceOf(key_, request_.filter(), request_.resume_token(),
                         "resume_token");
    status = place.status();
    base::MutexLock lock(mutex_);
    if (status.ok()) after_ = *std::move(place);
  }
  EndStep(std::move(status));
}

void WatchCall::ReadPage() {
  absl::optional<store::ChangePlace> after;
  {
    base::MutexLock lock(mutex_);
    after = after_;
  }
  store_.ReadChanges(
      {.after = std::move(after),
       .filter = request_.filter(),
       .include_contacts = request_.include_contacts(),
       .most_bytes = kBytesRead,
       .page = &page_},
      {base::SteadyTime::InfiniteFuture(), [this] { return over(); }},
      [this, self = self()](absl::Status status) {
        OnPage(std::move(status));
      });
}

void WatchCall::OnPage(absl::Status status) {
  if (status.ok()) {
    base::MutexLock lock(mutex_);
    next_ = 0;
    after_ = page_.end;
    has_read_ = true;
  }
  EndStep(std::move(status));
}

void WatchCall::EndStep(absl::Status status) {
  {
    base::MutexLock lock(mutex_);
    if (!status.ok()) failure_ = std::move(status);
    step_ = Step::kNone;
  }
  Advance();
}

void WatchCall::OnWriteDone(bool ok) {
  if (!ok) cancelled_ = true;
  EndStep(absl::OkStatus());
}

void WatchCall::OnCancel() {
  cancelled_ = true;
  Advance();
}

}  // namespace userprofile::api
