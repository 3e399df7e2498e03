#include "client/adapter/profile_json.h"

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"

namespace userprofile::adapter {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  // Can't fail: there are no Any messages and no bad times in an answer.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  // Protobuf escapes more than JSON asks for, which makes texts longer.
  return nlohmann::ordered_json::parse(json).dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ProfileHeader(const v1::Profile& profile) {
  return absl::WebSafeBase64Escape(ToJson(profile));
}

}  // namespace userprofile::adapter
