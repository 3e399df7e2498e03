#ifndef USERPROFILE_OPS_LISTEN_H_
#define USERPROFILE_OPS_LISTEN_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace userprofile::ops {

// Listens on "HOST:PORT" ("[::1]:9464" for IPv6); port 0 takes a free one.
// Returns the socket, which is the caller's, and the address as it was given
// but with the real port. INVALID_ARGUMENT for what is no such address,
// FAILED_PRECONDITION if it can't be listened on.
absl::StatusOr<std::pair<int, std::string>> Listen(absl::string_view address);

// Whether only this machine can reach what listens at the address: "HOST:PORT"
// with a numeric loopback address (RFC 6890: 127.0.0.0/8, ::1) or "localhost",
// or "unix:PATH". False for every other name, whatever it resolves to.
bool IsLoopback(absl::string_view address);

// Lets the process open as many files as it may, for a program that serves many
// connections: so that callers' don't take what others need.
void RaiseOpenFilesLimit();

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_LISTEN_H_
