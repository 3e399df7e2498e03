#ifndef USERPROFILE_SERVER_API_METHOD_H_
#define USERPROFILE_SERVER_API_METHOD_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "server/access/access.h"
#include "server/access/authorization.h"
#include "server/api/call_limits.h"
#include "server/api/personal_data.h"
#include "server/api/request_log.h"
#include "server/api/validation.h"
#include "server/ops/metrics.h"
#include "server/ops/readiness.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// What only one method does: a row of the table in user_profile_service.cc.
struct MethodRow {
  const char* name;
  const google::protobuf::Message& request;  // prototypes
  const google::protobuf::Message& response;
  std::function<void(store::ProfileStore&, const google::protobuf::Message&,
                     google::protobuf::Message*, store::CallContext,
                     store::Done)>
      act;

  // What a response that is OK tells the metrics; may be null.
  std::function<void(const google::protobuf::Message&, ops::Metrics&)> count;
};

// The row of a method that the store carries out by `verb`.
template <typename Request, typename Response>
MethodRow Row(const char* name,
              void (store::ProfileStore::*verb)(const Request&, Response*,
                                                store::CallContext,
                                                store::Done),
              void (*count)(const Response&, ops::Metrics&) = nullptr) {
  MethodRow row = {name, Request::default_instance(),
                   Response::default_instance(),
                   [verb](store::ProfileStore& store,
                          const google::protobuf::Message& request,
                          google::protobuf::Message* response,
                          store::CallContext context, store::Done done) {
                     (store.*verb)(static_cast<const Request&>(request),
                                   static_cast<Response*>(response),
                                   std::move(context), std::move(done));
                   },
                   nullptr};
  if (count != nullptr) {
    row.count = [count](const google::protobuf::Message& response,
                        ops::Metrics& metrics) {
      count(static_cast<const Response&>(response), metrics);
    };
  }
  return row;
}

// What all methods share. All of it must outlive the calls.
struct MethodContext {
  const ops::Readiness& readiness;
  ops::Metrics& metrics;
  access::Access& access;
  CallLimits& limits;
  RequestLog& log;

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
  ops::RpcMetrics& metrics;
  const Validator validator;
  const PersonalData personal_data;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_METHOD_H_
