#include "client/event_stream.h"

#include <grpc/support/time.h>
#include <grpcpp/impl/codegen/proto_utils.h>

namespace userprofile::client {

using ::google::protobuf::Message;

EventStream::EventStream(GenericStub& stub, const std::string& path,
                         const Message& request)
    : request_(request) {
  context_.set_wait_for_ready(true);
  stream_ = stub.PrepareCall(&context_, path, &queue_);
  stream_->StartCall(nullptr);
}

EventStream::~EventStream() {
  context_.TryCancel();
  status();
  queue_.Shutdown();
}

bool EventStream::Next(Message* message, base::SteadyTime deadline) {
  if (ended_) return false;
  if (!sent_) {
    if (!Await(deadline)) return false;
    stream_->WriteLast(request_, {}, nullptr);
    if (!Await(deadline)) return false;
    sent_ = true;
  }
  stream_->Read(message, nullptr);
  return Await(deadline);
}

const grpc::Status& EventStream::status() {
  if (ended_) return status_;
  ended_ = true;
  stream_->Finish(&status_, nullptr);
  Await(base::SteadyTime::InfiniteFuture());
  if (too_late_) {
    status_ = {grpc::StatusCode::DEADLINE_EXCEEDED, "nothing came in time"};
  }
  return status_;
}

bool EventStream::Await(base::SteadyTime deadline) {
  const gpr_timespec span = gpr_time_from_nanos(
      absl::ToInt64Nanoseconds(deadline - base::SteadyTime::Now()),
      GPR_TIMESPAN);
  void* tag = nullptr;
  bool ok = false;
  switch (queue_.AsyncNext(&tag, &ok, span)) {
    case grpc::CompletionQueue::GOT_EVENT:
      return ok;
    case grpc::CompletionQueue::SHUTDOWN:
      return false;
    case grpc::CompletionQueue::TIMEOUT:
      break;
  }
  too_late_ = true;
  context_.TryCancel();
  queue_.Next(&tag, &ok);
  return false;
}

}  // namespace userprofile::client
