#include "client/command/edit.h"

#include <algorithm>
#include <utility>

#include <google/protobuf/descriptor.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "client/command/values.h"

namespace userprofile::command {
namespace {

using ::google::protobuf::FieldDescriptor;

constexpr char kAttributes[] = "attributes";
constexpr char kAttribute[] = "attributes.";  // and its key

// The field of Profile of that name, if it is an answer.
const FieldDescriptor* AnswerNamed(const std::string& name) {
  if (v1::OnboardingAnswers::descriptor()->FindFieldByName(name) == nullptr) {
    return nullptr;
  }
  return v1::Profile::descriptor()->FindFieldByName(name);
}

absl::Status NotEditable(const std::string& name) {
  std::string answers;
  const auto& descriptor = *v1::OnboardingAnswers::descriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    absl::StrAppend(&answers, descriptor.field(i)->name(), ", ");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" can't be changed: it must be one of ",
                   answers, kAttributes, " or ", kAttribute, "KEY"));
}

// Adds the path to the mask.
absl::Status Name(const std::string& path, v1::UpdateProfileRequest& request) {
  auto& paths = *request.mutable_update_mask()->mutable_paths();
  if (std::find(paths.begin(), paths.end(), path) != paths.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\" is there twice"));
  }
  *paths.Add() = path;
  return absl::OkStatus();
}

absl::Status Set(const std::string& argument,
                 v1::UpdateProfileRequest& request) {
  const auto pair = ParsePair(argument);
  if (!pair.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--set: ", pair.status().message(), "; --clear NAME leaves nothing"));
  }
  const auto& [path, text] = *pair;
  USERPROFILE_RETURN_IF_ERROR(Name(path, request));
  v1::Profile& profile = *request.mutable_profile();
  if (const FieldDescriptor* answer = AnswerNamed(path)) {
    v1::Profile::GetReflection()->SetString(&profile, answer, text);
    return absl::OkStatus();
  }
  absl::string_view key = path;
  if (!absl::ConsumePrefix(&key, kAttribute) && path != kAttributes) {
    return NotEditable(path);
  }
  USERPROFILE_ASSIGN_OR_RETURN(google::protobuf::Value value, ParseValue(text));
  auto& attributes = *profile.mutable_attributes();
  if (path != kAttributes) {
    (*attributes.mutable_fields())[std::string(key)] = std::move(value);
  } else if (value.has_struct_value()) {
    attributes.MergeFrom(value.struct_value());
  } else {
    return absl::InvalidArgumentError(
        "--set: attributes must be a JSON object");
  }
  return absl::OkStatus();
}

absl::Status Clear(const std::string& path, v1::UpdateProfileRequest& request) {
  if (AnswerNamed(path) == nullptr && path != kAttributes &&
      !absl::StartsWith(path, kAttribute)) {
    return NotEditable(path);
  }
  return Name(path, request);
}

}  // namespace

absl::StatusOr<v1::UpdateProfileRequest> MakeUpdate(
    const EditArguments& arguments) {
  v1::UpdateProfileRequest request;
  USERPROFILE_ASSIGN_OR_RETURN(const std::int64_t user_id,
                               ParseUserId(arguments.user_id));
  request.mutable_profile()->set_user_id(user_id);
  if (!arguments.if_revision.empty()) {
    USERPROFILE_ASSIGN_OR_RETURN(const std::int64_t revision,
                                 ParseRevision(arguments.if_revision));
    request.set_expected_revision(revision);
  }
  for (const std::string& argument : arguments.set) {
    USERPROFILE_RETURN_IF_ERROR(Set(argument, request));
  }
  for (const std::string& path : arguments.clear) {
    USERPROFILE_RETURN_IF_ERROR(Clear(path, request));
  }
  request.set_reset_onboarding(arguments.reset_onboarding);
  const auto& paths = request.update_mask().paths();
  if (paths.empty() && !arguments.reset_onboarding) {
    return absl::InvalidArgumentError(
        "nothing to change: give --set, --clear or --reset-onboarding");
  }
  const bool has_all =
      std::find(paths.begin(), paths.end(), kAttributes) != paths.end();
  const bool has_one =
      std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
        return absl::StartsWith(path, kAttribute);
      });
  if (has_all && has_one) {
    return absl::InvalidArgumentError(
        "attributes are changed one by one, or all at once; not both");
  }
  return request;
}

}  // namespace userprofile::command
