#ifndef USERPROFILE_SERVER_API_WATCH_CALL_H_
#define USERPROFILE_SERVER_API_WATCH_CALL_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "server/api/call.h"
#include "server/api/method.h"
#include "server/api/open_streams.h"
#include "server/api/watchers.h"
#include "server/store/profile_store.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {

// One call of WatchProfiles, from its arrival until gRPC is done with it.
//
// It does one thing at a time: reads a page of changes, or writes an event. So
// a caller who takes events slowly makes it read slowly, and what it holds is a
// page. Where no event is taken for long, the call is broken off: then the
// write that is under way may end at any time, but nothing follows it until
// gRPC was told, for whatever comes last frees the context.
//
// Before each event it looks whether its caller still may watch.
class WatchCall final
    : public StreamReactor<grpc::ServerWriteReactor<grpc::ByteBuffer>,
                           Watchers> {
 public:
  // Makes the call and carries it out. `method` and `store` must outlive it.
  static WatchCall* Start(const Method& method, store::ProfileStore& store,
                          std::shared_ptr<Watchers> watchers,
                          grpc::CallbackServerContext* context,
                          const grpc::ByteBuffer& request);

  // Use Start.
  WatchCall(const Method& method, store::ProfileStore& store,
            std::shared_ptr<Watchers> watchers,
            grpc::CallbackServerContext* context);

  void Advance() override;

 private:
  enum class Step {
    kNone,
    kAdmit,
    kReadKey,
    kReadPage,
    kWrite,
    kBreak,
    kFinish
  };

  absl::Status Admit(const grpc::ByteBuffer& request);

  // One thread at a time begins steps, and those that come meanwhile leave it
  // to that one: so what is called here may call back at once, be it again and
  // again, and nothing follows the break before gRPC was told.
  bool IsWanted();
  void BeginStep();

  // One step is under way at most, and nothing follows the end.
  Step ChooseStep();

  // Why it is to end now; OK if it is not.
  absl::Status Verdict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Whether nothing of the database is wanted any more.
  bool over() { return cancelled_ || streams().closed(); }

  // Puts the next event into buffer_, or one without a change.
  void PrepareEvent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void ReadKey();
  void ReadPage();
  void EndStep(absl::Status status);
  void OnKey(absl::Status status);
  void OnPage(absl::Status status);
  void OnWriteDone(bool ok) override;
  void OnCancel() override;

  const Method& method_;
  store::ProfileStore& store_;
  grpc::CallbackServerContext* const context_;
  Call call_;
  std::unique_ptr<Watchers::Place> place_;
  v1::WatchProfilesRequest request_;
  std::atomic<bool> cancelled_{false};

  // Of the step that is under way, which alone uses them meanwhile.
  std::string key_;
  store::ChangesCall::Page page_;
  grpc::ByteBuffer buffer_;

  base::Mutex mutex_;
  bool is_advancing_ ABSL_GUARDED_BY(mutex_) = false;  // a thread is at it
  bool is_wanted_ ABSL_GUARDED_BY(mutex_) = false;     // to look again
  Step step_ ABSL_GUARDED_BY(mutex_) = Step::kNone;    // that is under way
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;        // for it took nothing
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  absl::optional<store::ChangePlace> after_ ABSL_GUARDED_BY(mutex_);
  bool has_read_ ABSL_GUARDED_BY(mutex_) = false;  // from there
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;   // of the page, to be written
  std::int64_t news_ ABSL_GUARDED_BY(mutex_) = -1;  // as the page was read
  absl::optional<absl::Duration> first_ ABSL_GUARDED_BY(mutex_);  // event, when
  base::SteadyTime written_ ABSL_GUARDED_BY(mutex_);  // when a write last began
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_WATCH_CALL_H_
