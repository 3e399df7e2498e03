#ifndef USERPROFILE_SERVER_ACCESS_ACCESS_H_
#define USERPROFILE_SERVER_ACCESS_ACCESS_H_

#include <grpcpp/server_context.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "ops/logging.h"
#include "ops/metrics.h"
#include "server/access/authorization.h"
#include "server/access/callers.h"
#include "server/access/rate_limiter.h"

namespace userprofile::access {

// What a call shows of who makes it.
struct Credentials {
  // The values of its metadata "authorization".
  std::vector<absl::string_view> authorization;

  // The names in a client certificate that was verified: "DNS:...", "URI:...".
  std::vector<std::string> sans;
};

// Decides for each call who makes it, and whether they may. Without callers to
// know, it asks nobody, and everybody may call everything. Thread-safe; never
// blocks.
//
// Who has right credentials is let in, whatever others at the same address try.
// What fails is counted (userprofile_refused_callers_total) and logged, without
// the token; beyond a hundred failures at once, and one a second, an address is
// told to wait.
class Access {
 public:
  // Asks nobody.
  explicit Access(ops::Metrics& metrics) : Access("", true, metrics) {}

  // Knows the callers in that file (callers.h). `on_loopback`: whether only
  // this machine can reach the server. `metrics` must outlive it.
  // INVALID_ARGUMENT with a sentence for people if the file is not right.
  static absl::StatusOr<std::unique_ptr<Access>> Load(std::string callers_file,
                                                      bool on_loopback,
                                                      ops::Metrics& metrics);

  // Reads the file again; the next call meets what it says. Whether anything
  // changed. Errors as those of Load(); nothing changes then.
  absl::StatusOr<bool> Reload();

  // Whether the call may be made; sets who makes it in any case. Errors:
  //   UNAUTHENTICATED     CREDENTIALS_MISSING, UNKNOWN_TOKEN,
  //                       UNKNOWN_CERTIFICATE
  //   PERMISSION_DENIED   ROLE_MISSING
  //   RESOURCE_EXHAUSTED  TOO_MANY_ATTEMPTS, instead of UNAUTHENTICATED
  absl::Status Admit(const grpc::CallbackServerContext& context,
                     const Permission& permission,
                     std::shared_ptr<const Caller>* caller);

 private:
  Access(std::string callers_file, bool on_loopback, ops::Metrics& metrics);

  absl::Status Refuse(const grpc::CallbackServerContext& context,
                      const Permission& permission, const Caller& caller,
                      absl::Status why);

  const std::string callers_file_;  // empty: asks nobody
  const bool on_loopback_;
  std::map<std::string, ops::Counter> refused_;  // by reason
  RateLimiter attempts_{1, 100};
  ops::LogLimiter log_{10, absl::Seconds(10)};

  base::Mutex mutex_;
  std::shared_ptr<const Callers> callers_ ABSL_GUARDED_BY(mutex_);
  std::string content_ ABSL_GUARDED_BY(mutex_);  // of the file
};

// Whether that is how Access refused a call. Who is not let in is counted by
// Access alone: strangers are no part of what the service does, and of what it
// fails to do.
bool IsRefusal(const absl::Status& status);

// Who has these credentials. A token decides if there is one, otherwise the
// first name of the certificate that is known. UNAUTHENTICATED as above.
absl::StatusOr<std::shared_ptr<const Caller>> Identify(
    const Callers& callers, const Credentials& credentials);

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_ACCESS_H_
