#ifndef USERPROFILE_SERVER_TRANSPORT_HEALTH_CLIENT_H_
#define USERPROFILE_SERVER_TRANSPORT_HEALTH_CLIENT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/transport/tls.h"

namespace userprofile::transport {

// Asks the server that listens there, on this machine, whether it serves; `tls`
// is what that server was told. Whom it meets it believes, for it tells nobody
// anything, and a certificate seldom names loopback; where the server asks for
// certificates, it shows the server's own. Errors:
//   UNAVAILABLE         it does not serve, or nobody answers within `timeout`
//   INVALID_ARGUMENT    the TLS files can't be used
absl::Status CheckHealth(const std::string& address, const TlsFiles& tls,
                         absl::Duration timeout);

}  // namespace userprofile::transport

#endif  // USERPROFILE_SERVER_TRANSPORT_HEALTH_CLIENT_H_
