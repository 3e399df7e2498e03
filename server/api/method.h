#ifndef USERPROFILE_SERVER_API_METHOD_H_
#define USERPROFILE_SERVER_API_METHOD_H_

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "ops/metrics.h"
#include "ops/readiness.h"
#include "server/access/access.h"
#include "server/access/authorization.h"
#include "server/access/connections.h"
#include "server/api/call_limits.h"
#include "server/api/deadlines.h"
#include "server/api/progress.h"
#include "server/api/request_log.h"
#include "server/api/validation.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// What clients of gRPC take, unless they are told to take more, in bytes.
inline constexpr std::size_t kLargestAnswer = std::size_t{4} << 20;

// What only one method does: a row of the table in user_profile_service.cc.
struct MethodRow {
  const char* name;
  store::Verb verb;
  const google::protobuf::Message& request;  // prototypes
  const google::protobuf::Message& response;

  // Carries out a call; null for a stream. What the request holds is
  // unspecified afterwards.
  std::function<void(store::ProfileStore&, google::protobuf::Message* request,
                     google::protobuf::Message* response, store::CallContext,
                     Progress& progress, store::Done)>
      act = nullptr;

  // Counts a response that is OK; may be null.
  std::function<void(const google::protobuf::Message&)> count = nullptr;

  // Makes an answer of what is done of a call at its deadline, and of an error
  // for the rest, while it goes on; null for a method that has all or nothing.
  std::function<void(const google::protobuf::Message& response,
                     const Progress& progress, const absl::Status& late,
                     google::protobuf::Message* answer)>
      answer_in_part = nullptr;

  // Makes of a request the one that is validated and carried out; may be null.
  std::function<absl::Status(google::protobuf::Message* request)> prepare =
      nullptr;
};

// The row of a method that the store carries out by `act`.
template <typename Request, typename Response>
MethodRow Row(const char* name, store::Verb verb,
              void (store::ProfileStore::*act)(const Request&, Response*,
                                               store::CallContext, store::Done),
              std::function<void(const Response&)> count = nullptr) {
  MethodRow row = {
      name, verb, Request::default_instance(), Response::default_instance(),
      [act](store::ProfileStore& store, google::protobuf::Message* request,
            google::protobuf::Message* response, store::CallContext context,
            Progress& /*progress*/, store::Done done) {
        (store.*act)(static_cast<const Request&>(*request),
                     static_cast<Response*>(response), std::move(context),
                     std::move(done));
      }};
  if (count != nullptr) {
    row.count = [count =
                     std::move(count)](const google::protobuf::Message& any) {
      count(static_cast<const Response&>(any));
    };
  }
  return row;
}

// What the calls of one method count. Thread-safe.
class RpcMetrics {
 public:
  RpcMetrics(ops::Metrics* metrics, const std::string& method);

  // A call began. Each call that began must end once.
  void CountStarted() const { in_flight_.Add(1); }

  // It was answered with this code, after this time.
  void CountFinished(absl::StatusCode code, absl::Duration latency) const;

  // A call within another was answered: it has no time of its own.
  void CountWithin(absl::StatusCode code) const;

  // It was not let in.
  void CountRefused() const { in_flight_.Add(-1); }

 private:
  std::array<ops::Counter, 17> requests_;  // by status code
  ops::Histogram latency_;
  ops::Gauge in_flight_;
};

// What all methods share. All of it must outlive the calls.
struct MethodContext {
  const ops::Readiness& readiness;
  ops::Metrics& metrics;
  access::Access& access;
  CallLimits& limits;
  RequestLog& log;
  Deadlines& deadlines;
  access::Connections* connections;  // may be null

  // What a caller's deadline is cut down to.
  absl::Duration max_timeout;
};

// A method, with what is derived for it from the API file.
struct Method {
  Method(MethodRow its_row, const MethodContext& its_context);

  const MethodRow row;
  const MethodContext context;
  const std::string path;  // "/userprofile.v1.UserProfileService/GetProfile"
  const access::Permission& permission;
  const RpcMetrics metrics;
  const Validator validator;
  const PersonalData personal_data;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_METHOD_H_
