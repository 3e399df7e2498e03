#include "server/users/columns.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace userprofile::users {
namespace {

using google::protobuf::Descriptor;
using v1::Profile;

constexpr char kBigint[] = "bigint";
constexpr char kBoolean[] = "boolean";
constexpr char kJson[] = "jsonb";
constexpr char kText[] = "text";
constexpr char kTimestamp[] = "timestamp without time zone";
constexpr char kTimestampTz[] = "timestamp with time zone";
constexpr char kVarchar[] = "character varying";

constexpr Column kColumns[] = {
    {"user_id", kBigint, Kind::kKey, &Profile::set_user_id, false},
    {"username", kVarchar, Kind::kIdentity, &Profile::mutable_username, true,
     nullptr, Lookup::kAnyCase},
    {"first_name", kVarchar, Kind::kIdentity, &Profile::mutable_first_name},
    {"last_name", kText, Kind::kIdentity, &Profile::mutable_last_name},
    {"language_code", kText, Kind::kIdentity, &Profile::mutable_language_code},
    {"onboarding_completed", kBoolean, Kind::kFlag,
     &Profile::set_onboarding_completed, false, "false"},
    {"real_name", kText, Kind::kAnswer, &Profile::mutable_real_name},
    {"nickname", kVarchar, Kind::kAnswer, &Profile::mutable_nickname, true,
     nullptr, Lookup::kExact},
    {"study_track", kText, Kind::kAnswer, &Profile::mutable_study_track},
    {"grade_band", kText, Kind::kAnswer, &Profile::mutable_grade_band},
    {"grade_year", kText, Kind::kAnswer, &Profile::mutable_grade_year},
    {"phone", kText, Kind::kAnswer, &Profile::mutable_phone},
    {"is_active", kBoolean, Kind::kFlag, &Profile::set_is_active, false,
     "true"},
    {"created_at", kTimestamp, Kind::kTime, &Profile::mutable_created_at, false,
     kAnyDefault},
    {"last_seen_at", kTimestampTz, Kind::kTime, &Profile::mutable_last_seen_at},
    {"updated_at", kTimestamp, Kind::kTime, &Profile::mutable_updated_at},
    {"last_activity", kTimestampTz, Kind::kTime,
     &Profile::mutable_last_activity},
    {"revision", kBigint, Kind::kCount, &Profile::set_revision, false, "1"},
    {"attributes", kJson, Kind::kObject, &Profile::mutable_attributes},
    {"created_by_event", kText, Kind::kEvent,
     &Profile::mutable_created_by_event},
};

std::vector<GivenText> Texts(Kind kind, const Descriptor* given) {
  std::vector<GivenText> texts;
  for (const Column& column : Columns(kind)) {
    texts.push_back({given->FindFieldByName(column.name),
                     v1::Profile::descriptor()->FindFieldByName(column.name)});
  }
  return texts;
}

}  // namespace

absl::Span<const Column> Columns() { return kColumns; }

const Column& ColumnNamed(absl::string_view name) {
  return *std::find_if(std::begin(kColumns), std::end(kColumns),
                       [&](const Column& c) { return c.name == name; });
}

std::vector<Column> Columns(Kind kind) {
  std::vector<Column> columns;
  std::copy_if(std::begin(kColumns), std::end(kColumns),
               std::back_inserter(columns),
               [kind](const Column& column) { return column.kind == kind; });
  return columns;
}

// Not by the rules of the column's language, for which an index would have to
// be built again when the system learns better ones.
std::string LookupKey(const Column& column, const std::string& value) {
  if (column.lookup != Lookup::kAnyCase) return value;
  return absl::StrCat("lower(", value, "::text COLLATE \"C\")");
}

const std::vector<GivenText>& IdentityTexts() {
  static const auto& texts = *new std::vector<GivenText>(
      Texts(Kind::kIdentity, v1::Identity::descriptor()));
  return texts;
}

const std::vector<GivenText>& AnswerTexts() {
  static const auto& texts = *new std::vector<GivenText>(
      Texts(Kind::kAnswer, v1::OnboardingAnswers::descriptor()));
  return texts;
}

bool Has(const google::protobuf::Message& message,
         const google::protobuf::FieldDescriptor* field) {
  return message.GetReflection()->HasField(message, field);
}

const std::string& Text(const google::protobuf::Message& message,
                        const google::protobuf::FieldDescriptor* field) {
  thread_local std::string unused;  // a field of this type needs no copy
  return message.GetReflection()->GetStringReference(message, field, &unused);
}

}  // namespace userprofile::users
