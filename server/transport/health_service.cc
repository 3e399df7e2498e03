#include "server/transport/health_service.h"

#include <atomic>
#include <utility>

#include "absl/types/optional.h"
#include "base/error_info.h"
#include "base/mutex.h"
#include "server/api/open_streams.h"
#include "server/api/status.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::transport {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

bool IsKnown(const HealthCheckRequest& request) {
  return request.service().empty() ||
         request.service() == v1::UserProfileService::service_full_name();
}

grpc::Status ServiceUnknown() {
  return api::ToGrpcStatus(base::MakeError(
      absl::StatusCode::kNotFound, "this server has no service of that name",
      v1::ERROR_REASON_SERVICE_UNKNOWN));
}

}  // namespace

// The state, and who watches it.
class HealthService::Board : public api::OpenStreams {
 public:
  ServingStatus status() const { return status_; }

  void Set(ServingStatus status) {
    status_ = status;
    AdvanceAll();
  }

 private:
  std::atomic<ServingStatus> status_{HealthCheckResponse::NOT_SERVING};
};

// One Watch stream. It takes the state from the board whenever it may write, so
// that a slow reader misses what lay in between, but never the newest state.
class HealthService::Watcher final
    : public api::StreamReactor<grpc::ServerWriteReactor<HealthCheckResponse>,
                                Board> {
 public:
  Watcher(std::shared_ptr<Board> board, bool known)
      : StreamReactor(std::move(board)), known_(known) {}

  // Writes the state if it is news, or finishes, if there is reason to.
  void Advance() override {
    switch (ChooseStep()) {
      case Step::kNone:
        return;
      case Step::kWrite:
        StartWrite(&response_);
        return;
      case Step::kFinish:
        Finish(cancelled_ ? grpc::Status::CANCELLED : api::ServerLeaves());
        return;
    }
  }

 private:
  enum class Step { kNone, kWrite, kFinish };

  // gRPC is called without the lock, for it may call back at once. At most one
  // write is under way, and nothing follows the end.
  Step ChooseStep() {
    base::MutexLock lock(mutex_);
    if (writing_ || finished_) return Step::kNone;
    const bool closed = streams().closed();  // before the state: it is the last
    const ServingStatus status =
        known_ ? streams().status() : HealthCheckResponse::SERVICE_UNKNOWN;
    if (!cancelled_ && sent_ != status) {
      sent_ = status;
      response_.set_status(status);
      writing_ = true;
      return Step::kWrite;
    }
    if (!cancelled_ && !closed) return Step::kNone;
    finished_ = true;
    return Step::kFinish;
  }

  void OnWriteDone(bool ok) override {
    if (!ok) cancelled_ = true;
    {
      base::MutexLock lock(mutex_);
      writing_ = false;
    }
    Advance();
  }

  void OnCancel() override {
    cancelled_ = true;
    Advance();
  }

  const bool known_;
  HealthCheckResponse response_;  // belongs to gRPC while writing
  std::atomic<bool> cancelled_{false};

  base::Mutex mutex_;
  absl::optional<ServingStatus> sent_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

HealthService::HealthService(ops::Readiness& readiness)
    : board_(std::make_shared<Board>()) {
  readiness.Subscribe([board = board_](const absl::Status& state) {
    board->Set(state.ok() ? HealthCheckResponse::SERVING
                          : HealthCheckResponse::NOT_SERVING);
  });
}

HealthService::~HealthService() { Shutdown(); }

void HealthService::Shutdown() { board_->Close(); }

grpc::ServerUnaryReactor* HealthService::Check(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request,
    HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  response->set_status(board_->status());
  reactor->Finish(IsKnown(*request) ? grpc::Status::OK : ServiceUnknown());
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request) {
  const auto watcher = Watcher::Make<Watcher>(board_, IsKnown(*request));
  watcher->Advance();
  return watcher.get();
}

}  // namespace userprofile::transport
