#include "server/service/validation.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_info.h"
#include "google/rpc/error_details.pb.h"
#include "phonenumbers/phonenumberutil.h"
#include "server/service/language_tag.h"
#include "server/service/text_traits.h"

namespace userprofile::service {
namespace {

using ::i18n::phonenumbers::PhoneNumber;
using ::i18n::phonenumbers::PhoneNumberUtil;

// Telegram: "at most 52 significant bits".
constexpr std::int64_t kMaxUserId = (std::int64_t{1} << 52) - 1;

// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, as the Timestamp message says.
constexpr std::int64_t kMinTimestampSeconds = -62135596800;
constexpr std::int64_t kMaxTimestampSeconds = 253402300799;

// In code points.
constexpr int kMaxName = 256;
constexpr int kMaxUsername = 64;
constexpr int kMaxLanguageCode = 35;
constexpr int kMaxNickname = 64;
constexpr int kMaxStudyTrack = 128;
constexpr int kMaxGrade = 64;
constexpr int kMaxPhone = 64;

// Puts a phone number into E.164 form. Asks for a possible number, not for one
// in a known range: ranges are opened faster than packages are updated.
bool NormalizePhone(std::string* phone) {
  const PhoneNumberUtil& util = *PhoneNumberUtil::GetInstance();
  PhoneNumber number;
  if (util.Parse(*phone, "ZZ", &number) != PhoneNumberUtil::NO_PARSING_ERROR ||
      number.has_extension() || !util.IsPossibleNumber(number)) {
    return false;
  }
  util.Format(number, PhoneNumberUtil::E164, phone);
  return true;
}

// Collects what is wrong with a request.
class Checker {
 public:
  explicit Checker(const NotUtf8& not_utf8) : not_utf8_(not_utf8) {}

  void Violation(absl::string_view field, absl::string_view description) {
    auto* violation = bad_request_.add_field_violations();
    violation->set_field(std::string(field));
    violation->set_description(std::string(description));
  }

  void UserId(std::int64_t user_id) {
    if (user_id >= 1 && user_id <= kMaxUserId) return;
    Violation("user_id", absl::StrCat("must be 1 to ", kMaxUserId));
  }

  void OccurredAt(const google::protobuf::Timestamp& time) {
    if (time.seconds() < kMinTimestampSeconds ||
        time.seconds() > kMaxTimestampSeconds || time.nanos() < 0 ||
        time.nanos() > 999999999) {
      Violation("occurred_at",
                "must be a time of the years 1 to 9999, nanos 0 to 999999999");
    }
  }

  // Whether the text is fit to be looked at further.
  bool Text(absl::string_view field, const std::string& text,
            int max_code_points, bool required = false) {
    TextTraits traits;
    if (std::find(not_utf8_.begin(), not_utf8_.end(), field) !=
        not_utf8_.end()) {
      traits.valid_utf8 = false;
    } else {
      traits = Inspect(text);
    }
    if (!traits.valid_utf8) {
      Violation(field, "must be valid UTF-8");
    } else if (required && traits.blank) {
      Violation(field, "must not be empty or blank");
    } else if (traits.code_points > max_code_points) {
      Violation(field, absl::StrCat("must be at most ", max_code_points,
                                    " code points long"));
    } else if (traits.has_control_characters) {
      Violation(field, "must not hold control characters");
    } else {
      return true;
    }
    return false;
  }

  void LanguageCode(absl::string_view field, const std::string& tag) {
    if (Text(field, tag, kMaxLanguageCode) && !tag.empty() &&
        !IsWellFormedLanguageTag(tag)) {
      Violation(field, "must be a BCP 47 language tag, such as pt-BR");
    }
  }

  void Phone(absl::string_view field, std::string* phone) {
    if (Text(field, *phone, kMaxPhone) && !phone->empty() &&
        !NormalizePhone(phone)) {
      Violation(field,
                "must be a phone number in international form, with + and "
                "country code, without an extension");
    }
  }

  absl::Status Finish() const {
    if (bad_request_.field_violations().empty()) return absl::OkStatus();
    std::string message;
    for (const auto& violation : bad_request_.field_violations()) {
      absl::StrAppend(&message, message.empty() ? "" : "; ", violation.field(),
                      " ", violation.description());
    }
    return base::WithBadRequest(
        base::MakeError(absl::StatusCode::kInvalidArgument, message,
                        "INVALID_FIELDS"),
        bad_request_);
  }

 private:
  const NotUtf8& not_utf8_;
  google::rpc::BadRequest bad_request_;
};

}  // namespace

absl::Status Validate(v1::UpsertUserRequest* request, const NotUtf8& not_utf8) {
  Checker checker(not_utf8);
  checker.UserId(request->user_id());
  const v1::Identity& identity = request->identity();
  checker.Text("identity.first_name", identity.first_name(), kMaxName);
  checker.Text("identity.last_name", identity.last_name(), kMaxName);
  checker.Text("identity.username", identity.username(), kMaxUsername);
  checker.LanguageCode("identity.language_code", identity.language_code());
  checker.OccurredAt(request->occurred_at());
  return checker.Finish();
}

absl::Status Validate(v1::GetProfileRequest* request, const NotUtf8& not_utf8) {
  Checker checker(not_utf8);
  checker.UserId(request->user_id());
  return checker.Finish();
}

absl::Status Validate(v1::CompleteOnboardingRequest* request,
                      const NotUtf8& not_utf8) {
  Checker checker(not_utf8);
  checker.UserId(request->user_id());
  if (!request->has_answers()) {
    checker.Violation("answers", "must be present");
    return checker.Finish();
  }
  v1::OnboardingAnswers& answers = *request->mutable_answers();
  checker.Text("answers.real_name", answers.real_name(), kMaxName, true);
  checker.Text("answers.nickname", answers.nickname(), kMaxNickname, true);
  checker.Text("answers.study_track", answers.study_track(), kMaxStudyTrack);
  checker.Text("answers.grade_band", answers.grade_band(), kMaxGrade);
  checker.Text("answers.grade_year", answers.grade_year(), kMaxGrade);
  checker.Phone("answers.phone", answers.mutable_phone());
  if (answers.study_track().empty()) answers.clear_study_track();
  if (answers.grade_band().empty()) answers.clear_grade_band();
  if (answers.grade_year().empty()) answers.clear_grade_year();
  if (answers.phone().empty()) answers.clear_phone();
  return checker.Finish();
}

}  // namespace userprofile::service
