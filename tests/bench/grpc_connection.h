#ifndef USERPROFILE_TESTS_BENCH_GRPC_CONNECTION_H_
#define USERPROFILE_TESTS_BENCH_GRPC_CONNECTION_H_

#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/bench/requests.h"

namespace userprofile::bench {

// One HTTP/2 connection for unary calls of gRPC, any number at a time, at a
// fraction of what gRPC's own client costs: what a load generator uses, the
// server that is measured beside it lacks. Knows what that takes and no more:
// no TLS, no compression, answers are counted and not looked at.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
//
// Throws std::runtime_error where the connection can't be made, or is lost. Not
// thread-safe.
class GrpcConnection {
 public:
  // A call from StartCall to its answer; the caller's, who keeps it until then.
  struct Call {
    virtual ~Call() = default;

    // It was answered. `status` is empty for OK, else "CODE MESSAGE".
    virtual void OnAnswer(const std::string& status) = 0;

   private:
    friend class GrpcConnection;
    const std::string* message_ = nullptr;
    std::size_t sent_ = 0;
    std::string code_;
    std::string details_;
  };

  // `address`: HOST:PORT or unix:PATH. `timeout` is every call's deadline.
  GrpcConnection(const std::string& address, std::chrono::seconds timeout);
  ~GrpcConnection();
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  // Begins a call; Flush() sends it. `request` and `call` outlive the call.
  void StartCall(const Requests::Request& request, Call* call);

  // Sends as much as the socket takes, as one write where it can.
  void Flush();

  // Reads what there is, and answers calls.
  void Read();

  // For poll(2): the socket, and whether Flush() has more to send.
  int fd() const { return fd_; }
  bool wants_to_send() const { return !outgoing_.empty(); }

 private:
  static ssize_t ReadMessage(nghttp2_session* session, std::int32_t stream,
                             std::uint8_t* buffer, std::size_t size,
                             std::uint32_t* flags, nghttp2_data_source* source,
                             void* self);
  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame,
                      const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t flags, void* self);
  static int OnStreamClose(nghttp2_session* session, std::int32_t stream,
                           std::uint32_t error, void* self);

  const int fd_;
  const std::string timeout_;  // as in the header grpc-timeout
  nghttp2_session* session_ = nullptr;
  std::string outgoing_;
};

}  // namespace userprofile::bench

#endif  // USERPROFILE_TESTS_BENCH_GRPC_CONNECTION_H_
