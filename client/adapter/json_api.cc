#include "client/adapter/json_api.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::adapter {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::DescriptorPool;
using ::google::protobuf::Message;
using ::google::protobuf::MessageFactory;
using ::google::protobuf::MethodDescriptor;
using Json = nlohmann::ordered_json;

constexpr char kJson[] = "application/json";

// The HTTP status of each code, as the Connect protocol maps them.
constexpr int kHttpStatuses[] = {
    200, 499, 500, 400, 504, 404,  // OK to NOT_FOUND
    409, 403, 429, 400, 409, 400,  // ALREADY_EXISTS to OUT_OF_RANGE
    501, 500, 503, 500, 401,       // UNIMPLEMENTED to UNAUTHENTICATED
};

std::unique_ptr<Message> NewMessage(const Descriptor* type) {
  return std::unique_ptr<Message>(
      MessageFactory::generated_factory()->GetPrototype(type)->New());
}

// The detail of an error; in JSON, too, if it is of a kind that is known here.
Json DetailOf(absl::string_view url, const std::string& bytes) {
  const std::string name(url.substr(url.rfind('/') + 1));
  std::string base64 = absl::Base64Escape(bytes);
  while (absl::EndsWith(base64, "=")) base64.pop_back();
  Json result = {{"type", name}, {"value", base64}};
  const Descriptor* type =
      DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  if (type == nullptr) return result;
  const auto detail = NewMessage(type);
  if (!detail->ParseFromString(bytes)) return result;
  const auto json = ToJson(*detail);
  if (json.ok()) result["debug"] = Json::parse(*json);
  return result;
}

ops::HttpResponse ErrorAnswer(const absl::Status& status) {
  Json error = {
      {"code", absl::AsciiStrToLower(absl::StatusCodeToString(status.code()))},
      {"message", std::string(status.message())},
      {"details", Json::array()}};
  status.ForEachPayload(
      [&error](absl::string_view url, const absl::Cord& value) {
        error["details"].push_back(DetailOf(url, std::string(value)));
      });
  return {kHttpStatuses[static_cast<int>(status.code())],
          error.dump(-1, ' ', false, Json::error_handler_t::replace), kJson};
}

// The method that lies at the path; null if there is none for bots.
const MethodDescriptor* MethodAt(absl::string_view path) {
  static const auto& service =
      *v1::UpsertUserRequest::descriptor()->file()->FindServiceByName(
          "UserProfileService");
  if (!absl::ConsumePrefix(&path,
                           absl::StrCat("/", service.full_name(), "/"))) {
    return nullptr;
  }
  const auto* method = service.FindMethodByName(std::string(path));
  return method != nullptr && IsForBots(*method) ? method : nullptr;
}

absl::optional<ops::HttpResponse> Refuse(const ops::HttpRequest& http) {
  if (MethodAt(http.path) == nullptr) return ops::HttpResponse{.status = 404};
  if (http.method != "POST") return ops::MethodNotAllowed("POST");
  if (!absl::StartsWith(http.Header("Content-Type"), kJson)) {
    return ops::HttpResponse{.status = 415};
  }
  return absl::nullopt;
}

ops::HttpResponse Answer(client::ProfileClient& client,
                         const ops::HttpRequest& http) {
  const MethodDescriptor& method = *MethodAt(http.path);
  auto request = NewMessage(method.input_type());
  if (!google::protobuf::util::JsonStringToMessage(http.body, request.get())
           .ok()) {
    return ErrorAnswer(absl::InvalidArgumentError(absl::StrCat(
        "the body is no ", method.input_type()->name(), " in JSON")));
  }
  const auto result = client.Call(method, std::move(request));
  if (!result.ok()) return ErrorAnswer(result.status());
  const auto json = ToJson(**result);
  if (!json.ok()) return ErrorAnswer(json.status());
  return {.body = *json, .content_type = kJson};
}

}  // namespace

ops::HttpHandler JsonApi(client::ProfileClient& client) {
  return {.refuse = Refuse, .answer = [&client](const ops::HttpRequest& http) {
            return Answer(client, http);
          }};
}

bool IsForBots(const MethodDescriptor& method) {
  if (method.client_streaming() || method.server_streaming()) return false;
  const auto& roles = method.options().GetRepeatedExtension(v1::roles);
  return std::find(roles.begin(), roles.end(), v1::ROLE_BOT) != roles.end();
}

absl::StatusOr<std::string> ToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const bool written =
      google::protobuf::util::MessageToJsonString(message, &text, options).ok();
  // Protobuf escapes more than JSON asks for, which makes texts longer.
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!written || json.is_discarded()) {
    return absl::InternalError(
        absl::StrCat("a ", message.GetTypeName(), " can't be written as JSON"));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace userprofile::adapter
