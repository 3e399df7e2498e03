#include "client/adapter/profile_api.h"

#include <string>

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/profile_json.h"
#include "google/rpc/error_details.pb.h"
#include "httplib.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {
namespace {

using Json = nlohmann::ordered_json;

// As the Connect protocol maps them.
int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

// The detail in JSON, too, if it is of a kind that the service uses.
template <typename Detail>
void AddDebug(const std::string& bytes, Json& json) {
  Detail detail;
  if (json["type"] == Detail::descriptor()->full_name() &&
      detail.ParseFromString(bytes)) {
    json["debug"] = Json::parse(ToJson(detail));
  }
}

void AnswerError(const absl::Status& status, httplib::Response& response) {
  Json error = {
      {"code", absl::AsciiStrToLower(absl::StatusCodeToString(status.code()))},
      {"message", std::string(status.message())},
      {"details", Json::array()}};
  status.ForEachPayload(
      [&error](absl::string_view url, const absl::Cord& value) {
        const std::string bytes(value);
        Json& detail = error["details"].emplace_back();
        detail["type"] = std::string(url.substr(url.rfind('/') + 1));
        std::string base64 = absl::Base64Escape(bytes);
        while (absl::EndsWith(base64, "=")) base64.pop_back();
        detail["value"] = base64;
        AddDebug<google::rpc::ErrorInfo>(bytes, detail);
        AddDebug<google::rpc::BadRequest>(bytes, detail);
      });
  response.status = HttpStatusOf(status.code());
  response.set_content(
      error.dump(-1, ' ', false, Json::error_handler_t::replace),
      "application/json");
}

// Adds a method of the service, which `call` calls.
template <typename Request, typename Call>
void AddMethod(const char* name, Call call, httplib::Server& server) {
  server.Post(
      absl::StrCat("/userprofile\\.v1\\.UserProfileService/", name),
      [call](const httplib::Request& http, httplib::Response& response) {
        if (!absl::StartsWith(http.get_header_value("Content-Type"),
                              "application/json")) {
          response.status = 415;
          return;
        }
        Request request;
        google::protobuf::util::Status parsed =
            google::protobuf::util::JsonStringToMessage(http.body, &request);
        if (!parsed.ok()) {
          AnswerError(absl::InvalidArgumentError(absl::StrCat(
                          "the body is no ", Request::descriptor()->name(),
                          " in JSON")),
                      response);
          return;
        }
        const auto result = call(request);
        if (!result.ok()) return AnswerError(result.status(), response);
        response.set_content(ToJson(*result), "application/json");
      });
}

}  // namespace

void AddProfileApi(client::ProfileClient& client, httplib::Server& server) {
  AddMethod<v1::UpsertUserRequest>(
      "UpsertUser",
      [&client](const auto& request) { return client.UpsertUser(request); },
      server);
  AddMethod<v1::GetProfileRequest>(
      "GetProfile",
      [&client](const auto& request) { return client.GetProfile(request); },
      server);
  AddMethod<v1::CompleteOnboardingRequest>(
      "CompleteOnboarding",
      [&client](const auto& request) {
        return client.CompleteOnboarding(request);
      },
      server);
}

}  // namespace userprofile::adapter
