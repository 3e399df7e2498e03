#include "server/api/attributes.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/store/profile_rows.h"

namespace userprofile::api {
namespace {

using ::google::protobuf::Struct;
using ::google::protobuf::Value;

constexpr std::size_t kMostKeys = 64;
constexpr int kLongestKey = 64;  // code points
constexpr std::size_t kMostBytes = 16384;
constexpr int kDeepest = 8;

std::string FaultOf(const Value& value, int depth);

// jsonb can't hold it
// (https://www.postgresql.org/docs/current/datatype-json.html).
bool HoldsNul(absl::string_view text) {
  return absl::StrContains(text, absl::string_view("\0", 1));
}

std::string FaultOf(const Struct& object, int depth) {
  for (const auto& [key, value] : object.fields()) {
    if (HoldsNul(key)) return "must not hold NUL";
    std::string fault = FaultOf(value, depth + 1);
    if (!fault.empty()) return fault;
  }
  return "";
}

std::string FaultOf(const Value& value, int depth) {
  if (depth > kDeepest) {
    return absl::StrCat("must not be more than ", kDeepest, " levels deep");
  }
  switch (value.kind_case()) {
    case Value::KIND_NOT_SET:
      return "must not hold a value of no kind";
    case Value::kNumberValue:
      return std::isfinite(value.number_value())
                 ? ""
                 : "must not hold numbers that are infinite or none";
    case Value::kStringValue:
      return HoldsNul(value.string_value()) ? "must not hold NUL" : "";
    case Value::kStructValue:
      return FaultOf(value.struct_value(), depth);
    case Value::kListValue:
      for (const Value& element : value.list_value().values()) {
        std::string fault = FaultOf(element, depth + 1);
        if (!fault.empty()) return fault;
      }
      return "";
    default:
      return "";
  }
}

}  // namespace

std::string AttributesFault(const Struct& attributes) {
  if (attributes.fields().size() > kMostKeys) {
    return absl::StrCat("must have at most ", kMostKeys, " keys");
  }
  for (const auto& [key, value] : attributes.fields()) {
    const base::TextTraits traits = base::Inspect(key);
    if (traits.blank || traits.has_control_characters ||
        traits.code_points > kLongestKey) {
      return absl::StrCat(
          "must have keys of 1 to ", kLongestKey,
          " code points, not blank, without control characters");
    }
  }
  std::string fault = FaultOf(attributes, 0);
  if (fault.empty() && store::SqlObject(attributes).size() > kMostBytes) {
    fault = absl::StrCat("must be at most ", kMostBytes, " bytes of JSON");
  }
  return fault;
}

}  // namespace userprofile::api
