#include "client/command/filter.h"

#include <utility>

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "client/command/values.h"

namespace userprofile::command {
namespace {

using ::google::protobuf::FieldDescriptor;

// The flag of each field of ProfileFilter, and of whom it is true. The type of
// the field says what the flag takes.
constexpr struct {
  const char* field;
  const char* flag;
  const char* who;
} kFilters[] = {
    {"onboarding_completed", "--onboarding-completed",
     "Who answered the onboarding questions; =false: who did not"},
    {"is_active", "--active", "Whom the bot can reach; =false: whom it can't"},
    {"study_track", "--study-track", "Whose field of study is this"},
    {"grade_band", "--grade-band", "Whose school level is this"},
    {"grade_year", "--grade-year", "Whose grade is this"},
    {"language_code", "--language", "Whose language is this; pt is pt-BR, too"},
    {"nickname_prefix", "--nickname-prefix", "Whose nickname begins with this"},
    {"created_at", "--created", "Whose first contact was"},
    {"last_seen_at", "--last-seen", "Of whom the service last heard"},
    {"last_activity", "--last-activity", "Whose newest Telegram event is of"},
    {"attributes", "--attribute",
     "Who has this attribute with exactly this value, text or JSON; "
     "KEY=null: who has it not; may be given again"},
};

const FieldDescriptor& FieldOf(const char* name) {
  return *v1::ProfileFilter::descriptor()->FindFieldByName(name);
}

bool IsRange(const FieldDescriptor& field) {
  return field.message_type() == v1::TimeRange::descriptor();
}

// The flag of an end of a range of times: "--created-from".
std::string FlagOf(const char* flag, const FieldDescriptor& end) {
  return absl::StrCat(flag, "-", end.name());
}

// The error, with the flag that it is about.
absl::Status About(absl::string_view flag, const absl::Status& status) {
  return base::Annotate(status, absl::StrCat(flag, ": "));
}

absl::Status ReadRange(const FilterOptions& options, const char* flag,
                       const FieldDescriptor& field,
                       v1::ProfileFilter& filter) {
  for (int i = 0; i < field.message_type()->field_count(); ++i) {
    const FieldDescriptor& end = *field.message_type()->field(i);
    const auto text = options.texts.find(FlagOf(flag, end));
    if (text == options.texts.end() || text->second.empty()) continue;
    const auto time = ParseTime(text->second);
    if (!time.ok()) return About(text->first, time.status());
    auto& range =
        *v1::ProfileFilter::GetReflection()->MutableMessage(&filter, &field);
    range.GetReflection()->MutableMessage(&range, &end)->CopyFrom(*time);
  }
  return absl::OkStatus();
}

absl::Status ReadAttributes(const FilterOptions& options,
                            v1::ProfileFilter& filter) {
  for (const std::string& text : options.attributes) {
    const auto pair = ParsePair(text);
    if (!pair.ok()) return About("--attribute", pair.status());
    auto value = ParseValue(pair->second);
    if (!value.ok()) return About("--attribute", value.status());
    auto& attributes = *filter.mutable_attributes()->mutable_fields();
    if (!attributes.insert({pair->first, *std::move(value)}).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--attribute: \"", pair->first, "\" is there twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AddFilterFlags(ops::Command command, FilterOptions& options) {
  for (const auto& [name, flag, who] : kFilters) {
    const FieldDescriptor& field = FieldOf(name);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
      ops::AddSwitch(command, flag, options.switches[flag], who).OnlyHere();
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      ops::AddFlag(command, flag, options.texts[flag], who).OnlyHere();
    } else if (IsRange(field)) {
      for (int i = 0; i < field.message_type()->field_count(); ++i) {
        const FieldDescriptor& end = *field.message_type()->field(i);
        const std::string of_end = FlagOf(flag, end);
        ops::AddFlag(command, of_end, options.texts[of_end],
                     absl::StrCat(who, " ",
                                  end.name() == "from" ? "then or later"
                                                       : "before then"))
            .TypeName("TIME")
            .OnlyHere();
      }
    } else {
      ops::AddListFlag(command, flag, options.attributes, who)
          .TypeName("KEY=VALUE")
          .OnlyHere();
    }
  }
}

absl::StatusOr<v1::ProfileFilter> MakeFilter(const FilterOptions& options) {
  v1::ProfileFilter filter;
  const auto& reflection = *v1::ProfileFilter::GetReflection();
  for (const auto& [name, flag, who] : kFilters) {
    const FieldDescriptor& field = FieldOf(name);
    if (const auto on = options.switches.find(flag);
        on != options.switches.end() && on->second) {
      reflection.SetBool(&filter, &field, *on->second);
    } else if (IsRange(field)) {
      USERPROFILE_RETURN_IF_ERROR(ReadRange(options, flag, field, filter));
    } else if (const auto text = options.texts.find(flag);
               text != options.texts.end() && !text->second.empty()) {
      reflection.SetString(&filter, &field, text->second);
    }
  }
  USERPROFILE_RETURN_IF_ERROR(ReadAttributes(options, filter));
  return filter;
}

}  // namespace userprofile::command
