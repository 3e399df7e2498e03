#include "server/api/attributes.h"

#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/text.h"
#include "server/store/profile_rows.h"

namespace userprofile::api {
namespace {

using ::google::protobuf::Struct;
using ::google::protobuf::Value;

constexpr int kLongestKey = 64;  // code points
constexpr int kDeepest = 8;

std::string FaultOf(const Value& value, int depth);

std::string FaultOf(const Struct& object, int depth) {
  for (const auto& [key, value] : object.fields()) {
    if (base::HoldsNul(key)) return "must not hold NUL";
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
      return base::HoldsNul(value.string_value()) ? "must not hold NUL" : "";
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
  if (attributes.fields().size() > base::kMaxAttributes) {
    return absl::StrCat("must have at most ", base::kMaxAttributes, " keys");
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
  if (fault.empty() &&
      store::SqlObject(attributes).size() > base::kMaxAttributesBytes) {
    fault = absl::StrCat("must be at most ", base::kMaxAttributesBytes,
                         " bytes of JSON");
  }
  return fault;
}

}  // namespace userprofile::api
