#include "client/telegram/object_reader.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace userprofile::telegram {

ObjectReader::ObjectReader(const nlohmann::json& object, std::string path,
                           absl::Status& error)
    : object_(object), path_(std::move(path)), error_(error) {}

absl::optional<std::int64_t> ObjectReader::Integer(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return absl::nullopt;
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (!value->is_number_integer() ||
      (value->is_number_unsigned() && value->get<std::uint64_t>() > kMax)) {
    Fail(name, "is not a 64-bit integer");
    return absl::nullopt;
  }
  return value->get<std::int64_t>();
}

absl::optional<bool> ObjectReader::Bool(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return absl::nullopt;
  if (!value->is_boolean()) {
    Fail(name, "is not a boolean");
    return absl::nullopt;
  }
  return value->get<bool>();
}

absl::optional<std::string> ObjectReader::Text(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return absl::nullopt;
  if (!value->is_string()) {
    Fail(name, "is not a string");
    return absl::nullopt;
  }
  return value->get<std::string>();
}

absl::optional<ObjectReader> ObjectReader::Object(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return absl::nullopt;
  if (!value->is_object()) {
    Fail(name, "is not an object");
    return absl::nullopt;
  }
  return ObjectReader(*value, PathOf(name), error_);
}

void ObjectReader::Fail(const char* name, const char* what) const {
  if (!error_.ok()) return;
  error_ = absl::InvalidArgumentError(absl::StrCat(PathOf(name), " ", what));
}

const nlohmann::json* ObjectReader::Find(const char* name) const {
  const auto found = object_.find(name);
  if (found == object_.end() || found->is_null()) return nullptr;
  return &*found;
}

std::string ObjectReader::PathOf(const char* name) const {
  return path_.empty() ? name : absl::StrCat(path_, ".", name);
}

}  // namespace userprofile::telegram
