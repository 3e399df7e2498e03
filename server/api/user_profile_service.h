#ifndef USERPROFILE_SERVER_API_USER_PROFILE_SERVICE_H_
#define USERPROFILE_SERVER_API_USER_PROFILE_SERVICE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include <deque>
#include <memory>

#include "absl/time/time.h"
#include "ops/metrics.h"
#include "ops/readiness.h"
#include "server/access/access.h"
#include "server/access/connections.h"
#include "server/api/call_limits.h"
#include "server/api/deadlines.h"
#include "server/api/method.h"
#include "server/api/request_log.h"
#include "server/api/watchers.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// How the service treats calls.
struct UserProfileServiceOptions {
  // What a call gets whose deadline is further away, or that has none: longer
  // than a failover takes. Patroni's begins up to 30 s after the primary went.
  absl::Duration max_timeout = absl::Seconds(40);

  // How long ListProfiles looks for users to fill a page with; then it answers
  // those found by then, and where to go on.
  absl::Duration list_timeout = absl::Seconds(5);

  CallLimitOptions limits = {};

  WatchOptions watch = {};

  // See RequestLog.
  absl::Duration slow_request = absl::Seconds(1);
  RecentFailures* recent_failures = nullptr;

  // Who are told of the first call on a connection; may be null.
  access::Connections* connections = nullptr;
};

// The API, by a table of its methods: lets each caller in or not, checks the
// request, asks `readiness` whether it may be tried, and leaves it to the
// store. Thread-safe; never blocks.
class UserProfileService final : public grpc::Service {
 public:
  // All of them must outlive the service, and the service all calls that the
  // store has not answered yet.
  UserProfileService(store::ProfileStore& store,
                     const ops::Readiness& readiness, ops::Metrics& metrics,
                     access::Access& access,
                     const UserProfileServiceOptions& options = {});
  ~UserProfileService() override;

  // Ends every stream, now and later. To be called before the gRPC server shuts
  // down, which waits for them all.
  void Shutdown();

 private:
  CallLimits limits_;
  RequestLog log_;
  std::deque<Method> methods_;  // keep their addresses
  Deadlines deadlines_;
  const std::shared_ptr<Watchers> watchers_;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_USER_PROFILE_SERVICE_H_
