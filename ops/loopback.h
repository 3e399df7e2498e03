#ifndef USERPROFILE_OPS_LOOPBACK_H_
#define USERPROFILE_OPS_LOOPBACK_H_

#include "absl/strings/string_view.h"

namespace userprofile::ops {

// Whether only this machine can reach what listens at the address: "HOST:PORT"
// with a numeric loopback address (RFC 6890: 127.0.0.0/8, ::1) or "localhost",
// or "unix:PATH". False for every other name, whatever it resolves to.
bool IsLoopback(absl::string_view address);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_LOOPBACK_H_
