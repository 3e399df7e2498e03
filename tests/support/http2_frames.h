#ifndef USERPROFILE_TESTS_SUPPORT_HTTP2_FRAMES_H_
#define USERPROFILE_TESTS_SUPPORT_HTTP2_FRAMES_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace userprofile::testing {

// HTTP/2 as bytes, for those who send what no library would.

enum Http2FrameType : std::uint8_t {
  kHttp2Data = 0,
  kHttp2Headers = 1,
  kHttp2RstStream = 3,
  kHttp2Settings = 4,
  kHttp2Ping = 6,
  kHttp2Continuation = 9,
};
constexpr std::uint8_t kHttp2Ack = 1;        // of settings and pings
constexpr std::uint8_t kHttp2EndStream = 1;  // of data and headers
constexpr std::uint8_t kHttp2EndHeaders = 4;

inline std::string BigEndian(std::uint32_t value, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes));
  return text;
}

inline std::string Http2Frame(std::uint8_t type, std::uint8_t flags,
                              std::uint32_t stream,
                              const std::string& payload) {
  return absl::StrCat(BigEndian(static_cast<std::uint32_t>(payload.size()), 3),
                      BigEndian(type, 1), BigEndian(flags, 1),
                      BigEndian(stream, 4), payload);
}

// A header that the other end shall remember; both texts below 127 bytes.
inline std::string Http2Header(const std::string& name,
                               const std::string& value) {
  return absl::StrCat(
      "\x40", BigEndian(static_cast<std::uint32_t>(name.size()), 1), name,
      BigEndian(static_cast<std::uint32_t>(value.size()), 1), value);
}

// The headers of a call of gRPC.
inline std::string Http2Call(const std::string& path) {
  return absl::StrCat(
      Http2Header(":method", "POST"), Http2Header(":scheme", "http"),
      Http2Header(":path", path), Http2Header(":authority", "x"),
      Http2Header("content-type", "application/grpc"),
      Http2Header("te", "trailers"));
}

// What a client says first.
inline std::string Http2Greeting() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         Http2Frame(kHttp2Settings, 0, 0, "");
}

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_HTTP2_FRAMES_H_
