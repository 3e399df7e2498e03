#include "client/command/output.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"

namespace userprofile::command {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;

using Fields = std::vector<const FieldDescriptor*>;

// What a table has, for a terminal has no room for all.
constexpr const char* kListed[] = {
    "user_id",       "username",    "first_name",           "last_name",
    "nickname",      "real_name",   "onboarding_completed", "is_active",
    "language_code", "last_seen_at"};
constexpr const char* kWatched[] = {"user_id",    "revision",  "username",
                                    "first_name", "last_name", "nickname",
                                    "updated_at"};

const Fields& AllFields() {
  static const auto& fields = *new Fields([] {
    Fields all;
    const auto& profile = *v1::Profile::descriptor();
    for (int i = 0; i < profile.field_count(); ++i) {
      all.push_back(profile.field(i));
    }
    return all;
  }());
  return fields;
}

template <std::size_t n>
Fields FieldsOf(const char* const (&names)[n]) {
  Fields fields;
  for (const char* name : names) {
    fields.push_back(v1::Profile::descriptor()->FindFieldByName(name));
  }
  return fields;
}

std::vector<std::string> NamesOf(const Fields& fields) {
  std::vector<std::string> names;
  for (const FieldDescriptor* field : fields) names.push_back(field->name());
  return names;
}

std::vector<std::string> CellsOf(const v1::Profile& profile,
                                 const Fields& fields) {
  std::vector<std::string> cells;
  for (const FieldDescriptor* field : fields) {
    cells.push_back(CellOf(profile, *field));
  }
  return cells;
}

// One line, in which protobuf escapes control characters. Nothing, which no
// message of the service comes to, if it can't be written.
std::string JsonOf(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

std::vector<std::string> Prepend(std::string first,
                                 std::vector<std::string> rest) {
  rest.insert(rest.begin(), std::move(first));
  return rest;
}

}  // namespace

std::string CellOf(const v1::Profile& profile, const FieldDescriptor& field) {
  const auto& reflection = *v1::Profile::GetReflection();
  if (field.has_presence() && !reflection.HasField(profile, &field)) return "";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(profile, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(profile, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(profile, &field);
    default:
      break;
  }
  std::string json = JsonOf(reflection.GetMessage(profile, &field));
  if (json.size() >= 2 && json.front() == '"') {  // a time
    return json.substr(1, json.size() - 2);
  }
  return json;
}

void AddOutputFlag(ops::Command command, OutputOptions& options) {
  ops::AddFlag(command, "--output", options.form,
               "text (for people), json (an object a line) or csv")
      .OneOf({"text", "json", "csv"});
}

Output::Output(const OutputOptions& options, bool is_terminal,
               std::ostream& out)
    : form_(options.form), is_terminal_(is_terminal), out_(out) {}

void Output::WriteProfiles(const Profiles& profiles) {
  if (!is_text()) return WriteList(profiles);
  std::size_t width = 0;
  for (const FieldDescriptor* field : AllFields()) {
    width = std::max(width, field->name().size());
  }
  for (const v1::Profile& profile : profiles) {
    if (std::exchange(has_begun_, true)) out_ << "\n";
    for (const FieldDescriptor* field : AllFields()) {
      const std::string cell = CellOf(profile, *field);
      if (cell.empty()) continue;
      out_ << field->name()
           << std::string(width + 2 - field->name().size(), ' ')
           << Printable(cell) << "\n";
    }
  }
}

void Output::WriteList(const Profiles& profiles) {
  if (form_ == "json") {
    for (const v1::Profile& profile : profiles) WriteJson(profile);
    return;
  }
  const Fields fields = is_text() ? FieldsOf(kListed) : AllFields();
  std::vector<std::vector<std::string>> rows;
  for (const v1::Profile& profile : profiles) {
    rows.push_back(CellsOf(profile, fields));
  }
  WriteRows(NamesOf(fields), std::move(rows));
}

void Output::WriteEvent(const v1::WatchProfilesResponse& event) {
  const char* what = "changed";
  v1::Profile profile;
  switch (event.event_case()) {
    case v1::WatchProfilesResponse::kProfile:
      profile = event.profile();
      break;
    case v1::WatchProfilesResponse::kDeletedUserId:
      what = "deleted";
      profile.set_user_id(event.deleted_user_id());
      break;
    case v1::WatchProfilesResponse::kUnmatchedUserId:
      what = "unmatched";
      profile.set_user_id(event.unmatched_user_id());
      break;
    default:
      return;
  }
  if (form_ == "json") return WriteJson(event);
  const Fields fields = is_text() ? FieldsOf(kWatched) : AllFields();
  std::vector<std::string> cells = CellsOf(profile, fields);
  if (!event.has_profile()) {
    // Nothing is known of them but who they are.
    for (std::string& cell : cells) cell.clear();
    cells.front() = absl::StrCat(profile.user_id());
  }
  WriteRows(Prepend("event", NamesOf(fields)), {Prepend(what, cells)});
}

void Output::WriteCount(const v1::CountProfilesResponse& response) {
  if (form_ == "json") return WriteJson(response);
  if (form_ == "csv") {
    return WriteRows({"count"}, {{absl::StrCat(response.count())}});
  }
  out_ << response.count() << "\n";
}

void Output::WriteSentence(const std::string& text) {
  if (is_text()) out_ << Printable(text) << "\n";
}

absl::Status Output::Flush() {
  if (out_.flush()) return absl::OkStatus();
  return absl::UnavailableError("the output can't be written");
}

void Output::WriteJson(const Message& message) {
  const std::string json = JsonOf(message);
  out_ << (is_terminal_ ? Printable(json) : json) << "\n";
}

void Output::WriteRows(const std::vector<std::string>& headers,
                       std::vector<std::vector<std::string>> rows) {
  if (is_text()) {
    if (!table_) table_.emplace(headers);
    out_ << table_->Add(std::move(rows));
    return;
  }
  if (!std::exchange(has_begun_, true)) out_ << CsvLine(headers);
  for (std::vector<std::string>& row : rows) {
    if (is_terminal_) {
      for (std::string& cell : row) cell = Printable(cell);
    }
    out_ << CsvLine(row);
  }
}

}  // namespace userprofile::command
