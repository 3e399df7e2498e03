#ifndef USERPROFILE_OPS_HTTP_STREAM_H_
#define USERPROFILE_OPS_HTTP_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "ops/http_server.h"

struct MHD_Connection;
struct MHD_Response;

namespace userprofile::ops {

// A request and its answer, of which the bodies pass in parts: of each, 64 KiB
// are held, and one more part. Between two threads: the handler's, which may
// wait for the client, and the server's, which waits for nobody and leaves the
// connection alone ("suspends" it) while it is the handler's turn.
class HttpStream {
 public:
  // For the server; the connection is that of the request.
  HttpStream(MHD_Connection* connection, int fd, HttpRequest request)
      : request_(std::move(request)), fd_(fd), connection_(connection) {}
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  // For the handler.

  // Without its body.
  const HttpRequest& request() const { return request_; }

  // The next part of the body, of any length; empty at its end. ABORTED once
  // the client is gone.
  absl::StatusOr<std::string> Read();

  // A socket that becomes readable when the client goes away. To be looked at
  // between the end of the body and Begin() only.
  int client() const { return fd_; }

  // Begins the answer, once; the body follows, of that size if it is known, and
  // the one in `head` is not looked at. What is left of the request's body is
  // read past.
  void Begin(HttpResponse head, absl::optional<std::uint64_t> size);

  // The next part of the answer's body; waits while the client does not take
  // what was written before. False once the client is gone.
  bool Write(absl::string_view bytes);

  // The answer is not whole, and the client shall see that: its connection
  // ends.
  void BreakOff();

  // For the server, on its thread if nothing else is said.

  // Takes a part of the request's body, or of it what there is room for: `size`
  // becomes what is left.
  void Receive(const char* data, std::size_t& size);

  // The body has ended. Whether the answer has begun; if not, this will be
  // called again once it has.
  bool EndBody();

  // Once it has begun.
  const HttpResponse& head() const { return head_; }
  static MHD_Response* NewResponse(std::shared_ptr<HttpStream> stream);

  // The handler has returned; on its thread.
  void End();

  // The connection has ended, or serves another request.
  void Leave();

 private:
  long TakeOut(char* buffer, std::size_t size);  // NOLINT: libmicrohttpd's
  void Suspend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Resume() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const HttpRequest request_;
  const int fd_;

  base::Mutex mutex_;
  base::CondVar changed_;
  MHD_Connection* connection_ ABSL_GUARDED_BY(mutex_);  // null: it left
  bool suspended_ ABSL_GUARDED_BY(mutex_) = false;
  std::string in_ ABSL_GUARDED_BY(mutex_);
  bool in_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::string out_ ABSL_GUARDED_BY(mutex_);
  std::size_t out_taken_ ABSL_GUARDED_BY(mutex_) = 0;  // of it
  bool out_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_off_ ABSL_GUARDED_BY(mutex_) = false;
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;

  // Not changed once it has begun.
  HttpResponse head_;
  absl::optional<std::uint64_t> size_;
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_HTTP_STREAM_H_
