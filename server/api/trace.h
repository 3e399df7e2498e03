#ifndef USERPROFILE_SERVER_API_TRACE_H_
#define USERPROFILE_SERVER_API_TRACE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace userprofile::api {

// The header, and the trailer, of W3C Trace Context by which a call is found
// again in the logs of others:
//   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
// version, trace, parent, flags; lower-case hex. The service belongs to the
// trace of its caller, but records no spans of its own.
inline constexpr char kTraceparent[] = "traceparent";

// Whether a caller's value can be used. One that can't is as good as none.
bool IsTraceparent(absl::string_view value);

// One for a new trace, with random ids and no flags. Thread-safe.
std::string MakeTraceparent();

// The trace of a value that can be used: 32 digits.
absl::string_view TraceId(absl::string_view traceparent);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_TRACE_H_
