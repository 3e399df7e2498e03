#include "server/api/update_mask.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/api/validation.h"
#include "server/users/columns.h"

namespace userprofile::api {
namespace {

constexpr char kAll[] = "*";
constexpr char kAttributes[] = "attributes";
constexpr char kAttribute[] = "attributes.";  // and its key

void AddViolation(int place, google::rpc::BadRequest& bad_request) {
  std::vector<std::string> names;
  for (const auto& answer : users::AnswerTexts()) {
    names.push_back(answer.stored->name());
  }
  auto& violation = *bad_request.add_field_violations();
  violation.set_field(absl::StrCat("update_mask.paths[", place, "]"));
  violation.set_description(
      absl::StrCat("must be one of: ", absl::StrJoin(names, ", "), ", ",
                   kAttributes, ", ", kAttribute, "KEY; or ", kAll, " alone"));
}

// What is taken of an update's profile.
class Taken {
 public:
  explicit Taken(const v1::Profile& given) : given_(given) {
    taken_.set_user_id(given.user_id());
  }

  // Each but once: a mask may name one thousands of times.
  void TakeAnswer(const google::protobuf::FieldDescriptor* answer) {
    if (users::Has(taken_, answer)) return;
    v1::Profile::GetReflection()->SetString(&taken_, answer,
                                            users::Text(given_, answer));
  }

  void TakeAttributes() {
    if (!std::exchange(has_all_attributes_, true)) {
      *taken_.mutable_attributes() = given_.attributes();
    }
  }

  void TakeAttribute(const std::string& key) {
    if (has_all_attributes_) return;
    const auto& fields = given_.attributes().fields();
    auto& value = (*taken_.mutable_attributes()->mutable_fields())[key];
    if (const auto found = fields.find(key); found != fields.end()) {
      value = found->second;
    } else {
      value.set_null_value(google::protobuf::NULL_VALUE);
    }
  }

  // False if there is no such thing to take.
  bool TakeNamed(absl::string_view path) {
    if (path == kAttributes) {
      TakeAttributes();
      return true;
    }
    if (absl::ConsumePrefix(&path, kAttribute)) {
      TakeAttribute(std::string(path));
      return true;
    }
    const auto& answers = users::AnswerTexts();
    const auto named = absl::c_find_if(answers, [&](const auto& answer) {
      return answer.stored->name() == path;
    });
    if (named == answers.end()) return false;
    TakeAnswer(named->stored);
    return true;
  }

  // All that there is, or that there could be.
  void Take(bool absent_too) {
    for (const auto& answer : users::AnswerTexts()) {
      if (absent_too || users::Has(given_, answer.stored)) {
        TakeAnswer(answer.stored);
      }
    }
    if (absent_too || given_.has_attributes()) TakeAttributes();
  }

  v1::Profile Finish() { return std::move(taken_); }

 private:
  const v1::Profile& given_;
  v1::Profile taken_;
  bool has_all_attributes_ = false;
};

}  // namespace

absl::Status ApplyUpdateMask(v1::UpdateProfileRequest* request) {
  if (!request->has_profile()) return absl::OkStatus();  // refused for that
  Taken taken(request->profile());
  const auto& paths = request->update_mask().paths();
  const bool all = paths.size() == 1 && paths.Get(0) == kAll;
  if (all || paths.empty()) {
    taken.Take(/*absent_too=*/all);
  }
  google::rpc::BadRequest bad_request;
  for (int i = 0; i < paths.size() && !all; ++i) {
    if (!taken.TakeNamed(paths.Get(i))) AddViolation(i, bad_request);
    if (bad_request.field_violations_size() >= kMostNamed) break;
  }
  if (!bad_request.field_violations().empty()) {
    return InvalidFields(bad_request);
  }
  *request->mutable_profile() = taken.Finish();
  return absl::OkStatus();
}

}  // namespace userprofile::api
