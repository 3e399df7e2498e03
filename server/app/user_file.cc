#include "server/app/user_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <csv.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/error_info.h"
#include "base/text.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/util/json_util.h"
#include "google/rpc/error_details.pb.h"
#include "nlohmann/json.hpp"
#include "server/api/validation.h"
#include "server/store/profile_rows.h"

namespace userprofile::app {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::json;

constexpr char kByteOrderMark[] = "\xef\xbb\xbf";
constexpr std::size_t kBytesRead = 65536;

// Seconds of the year 5138; what counts so far counts milliseconds.
constexpr double kMilliseconds = 1e11;

const FieldDescriptor* FieldNamed(const std::string& name) {
  return v1::Profile::descriptor()->FindFieldByName(name);
}

// Before, there was no Telegram: a zero, or a number that is none of seconds.
constexpr absl::Time kEarliest = absl::FromUnixSeconds(1'356'998'400);  // 2013

// More levels than attributes may have; each takes the library stack.
constexpr int kMostLevels = 100;

// What this service alone knows.
bool IsOurs(const FieldDescriptor& field) {
  switch (field.number()) {
    case v1::Profile::kRevisionFieldNumber:
    case v1::Profile::kUpdatedAtFieldNumber:
    case v1::Profile::kCreatedByEventFieldNumber:
      return true;
    default:
      return false;
  }
}

absl::optional<absl::Time> ReadTime(const std::string& text) {
  double seconds;
  if (absl::SimpleAtod(text, &seconds)) {
    if (!std::isfinite(seconds)) return absl::nullopt;
    if (seconds >= kMilliseconds) seconds /= 1000;
    return absl::UnixEpoch() + absl::Seconds(seconds);
  }
  for (const char* form : {"%Y-%m-%dT%H:%M:%E*S%Ez", "%Y-%m-%d%ET%H:%M:%E*S%Ez",
                           "%Y-%m-%d %H:%M:%E*S%Ez", "%Y-%m-%d%ET%H:%M:%E*S",
                           "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    absl::Time time;
    if (absl::ParseTime(form, text, &time, nullptr)) return time;
  }
  return absl::nullopt;
}

// Puts a value into the user's field; returns what is wrong with it.
std::string SetField(const FieldDescriptor& field, const std::string& text,
                     absl::Time latest, store::ImportedUser& user) {
  v1::Profile& profile = user.profile;
  const auto& reflection = *v1::Profile::GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&profile, &field, text);
      return "";
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t number;
      if (!absl::SimpleAtoi(text, &number)) return "must be a number";
      reflection.SetInt64(&profile, &field, number);
      return "";
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool is_true;
      if (!absl::SimpleAtob(text, &is_true)) return "must be true or false";
      (field.number() == v1::Profile::kIsActiveFieldNumber
           ? user.is_active
           : user.onboarding_completed) = is_true;
      return "";
    }
    default:
      break;
  }
  Message* const message = reflection.MutableMessage(&profile, &field);
  auto* const time =
      google::protobuf::DynamicCastToGenerated<google::protobuf::Timestamp>(
          message);
  if (time == nullptr) {
    if (google::protobuf::util::JsonStringToMessage(text, message).ok()) {
      return "";
    }
    reflection.ClearField(&profile, &field);
    return "must be an object of JSON";
  }
  const auto read = ReadTime(text);
  if (read.has_value() && *read >= kEarliest && *read <= latest) {
    store::SetTimestamp(*read, time);
    return "";
  }
  reflection.ClearField(&profile, &field);
  return "must be a time from 2013 until now, such as 2025-10-01T08:00:00Z";
}

// Leaves out what the API would refuse, and says so; the rest becomes what it
// makes of it.
void Check(const api::Validator& validator, Message& message,
           std::vector<std::string>& faults) {
  const std::unique_ptr<Message> given(message.New());
  given->CopyFrom(message);
  const absl::Status status = validator.Validate(&message);
  if (status.ok()) return;
  const google::rpc::BadRequest refused = base::BadRequestOf(status);
  for (const auto& violation : refused.field_violations()) {
    faults.push_back(
        absl::StrCat(violation.field(), " ", violation.description()));
    const std::string name =
        violation.field().substr(0, violation.field().find_first_of(".["));
    given->GetReflection()->ClearField(
        given.get(), given->GetDescriptor()->FindFieldByName(name));
  }
  message.CopyFrom(*given);
  (void)validator.Validate(&message);
}

void CheckUser(v1::Profile& profile, std::vector<std::string>& faults) {
  static const auto& of_profile =
      *new api::Validator(*v1::Profile::descriptor());
  static const auto& of_identity =
      *new api::Validator(*v1::Identity::descriptor());
  const auto& profiles = *v1::Profile::GetReflection();
  const auto& identities = *v1::Identity::GetReflection();
  const auto& type = *v1::Identity::descriptor();
  v1::Identity identity;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const stored = FieldNamed(type.field(i)->name());
    if (!profiles.HasField(profile, stored)) continue;
    identities.SetString(&identity, type.field(i),
                         profiles.GetString(profile, stored));
    profiles.ClearField(&profile, stored);
  }
  Check(of_identity, identity, faults);
  for (int i = 0; i < type.field_count(); ++i) {
    if (!identities.HasField(identity, type.field(i))) continue;
    profiles.SetString(&profile, FieldNamed(type.field(i)->name()),
                       identities.GetString(identity, type.field(i)));
  }
  Check(of_profile, profile, faults);
}

// A value of JSON as CSV would have it.
std::string TextOf(const json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

// What libcsv found of a file that was not asked for yet.
class UserFile::Csv {
 public:
  explicit Csv(std::istream& in) : in_(in) {
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
    // Blanks are part of a value.
    csv_set_space_func(&parser_, [](unsigned char) { return 0; });
  }
  ~Csv() { csv_free(&parser_); }
  Csv(const Csv&) = delete;
  Csv& operator=(const Csv&) = delete;

  // nullopt at the end; `status` says if that is for an error.
  absl::optional<std::vector<std::string>> Next(absl::Status& status) {
    while (rows_.empty() && !ended_ && fault_.ok()) Parse();
    if (rows_.empty()) {
      status = fault_;
      return absl::nullopt;
    }
    auto row = std::move(rows_.front());
    rows_.pop_front();
    return row;
  }

 private:
  void Parse() {
    in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    absl::string_view text(buffer_.data(),
                           static_cast<std::size_t>(in_.gcount()));
    ended_ = text.empty();
    if (!std::exchange(begun_, true))
      absl::ConsumePrefix(&text, kByteOrderMark);
    const bool parsed = csv_parse(&parser_, text.data(), text.size(), &OnValue,
                                  &OnRow, this) == text.size();
    if (!parsed ||
        (ended_ && csv_fini(&parser_, &OnValue, &OnRow, this) != 0)) {
      fault_ = absl::InvalidArgumentError(absl::StrCat(
          "after row ", rows_found_,
          " the file is no CSV: ", csv_strerror(csv_error(&parser_))));
    }
  }

  static void OnValue(void* value, std::size_t size, void* self) {
    static_cast<Csv*>(self)->row_.emplace_back(static_cast<const char*>(value),
                                               size);
  }
  static void OnRow(int /*end*/, void* self) {
    Csv& csv = *static_cast<Csv*>(self);
    ++csv.rows_found_;
    csv.rows_.push_back(std::exchange(csv.row_, {}));
  }

  std::istream& in_;
  csv_parser parser_;
  std::array<char, kBytesRead> buffer_;
  std::vector<std::string> row_;  // that has no end yet
  std::deque<std::vector<std::string>> rows_;
  std::int64_t rows_found_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  absl::Status fault_;  // behind the rows
};

UserFile::UserFile(std::istream& in, UserFileOptions options)
    : in_(in),
      options_(std::move(options)),
      csv_(options_.csv ? std::make_unique<Csv>(in) : nullptr) {}

UserFile::~UserFile() = default;

absl::optional<UserOfFile> UserFile::Next() {
  auto record = csv_ ? NextRow() : NextObject();
  if (status_.ok() && in_.bad()) {
    status_ = absl::UnavailableError("the file can't be read");
  }
  if (!record.has_value() || !status_.ok()) return absl::nullopt;
  UserOfFile user = Read(*std::move(record));
  if (!status_.ok()) return absl::nullopt;
  return user;
}

absl::optional<UserFile::Record> UserFile::NextObject() {
  std::string line;
  do {
    if (!std::getline(in_, line)) return absl::nullopt;
    if (++line_ == 1) line.erase(0, absl::StartsWith(line, kByteOrderMark) * 3);
  } while (absl::StripAsciiWhitespace(line).empty());
  const json object = json::parse(
      line,
      [](int depth, json::parse_event_t, json&) {
        return depth <= kMostLevels;
      },
      /*allow_exceptions=*/false);
  if (!object.is_object()) return Record{{}, "is no object of JSON"};
  Record record;
  for (const auto& [name, value] : object.items()) {
    record.values.emplace_back(name, TextOf(value));
  }
  return record;
}

absl::optional<UserFile::Record> UserFile::NextRow() {
  auto row = csv_->Next(status_);
  if (row.has_value() && ++line_ == 1) {
    header_ = *std::move(row);
    row = csv_->Next(status_);
    ++line_;
  }
  if (!row.has_value()) return absl::nullopt;
  if (row->size() != header_.size()) {
    return Record{{},
                  absl::StrCat("has ", row->size(), " values, and the header ",
                               header_.size())};
  }
  Record record;
  for (std::size_t i = 0; i < row->size(); ++i) {
    record.values.emplace_back(header_[i], std::move((*row)[i]));
  }
  return record;
}

UserOfFile UserFile::Read(Record record) {
  UserOfFile result;
  result.line = line_;
  if (!record.fault.empty()) {
    result.faults.push_back(std::move(record.fault));
    return result;
  }
  store::ImportedUser user;
  std::vector<const FieldDescriptor*> named;
  for (const auto& [theirs, value] : record.values) {
    if (options_.skipped.contains(theirs)) continue;
    const auto renamed = options_.fields.find(theirs);
    const std::string& name =
        renamed == options_.fields.end() ? theirs : renamed->second;
    const FieldDescriptor* const field = FieldNamed(name);
    if (field == nullptr) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("in ", csv_ ? "row " : "line ", line_,
                       " there is a name that no field of a user has: \"",
                       base::Fit(theirs, 100),
                       "\". Say what it is: --map FIELD=NAME; or "
                       "that it is not wanted: --skip NAME"));
      return result;
    }
    if (std::count(named.begin(), named.end(), field) > 0) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("in ", csv_ ? "row " : "line ", line_, " ", name,
                       " is named twice. Say what is not wanted: --skip NAME"));
      return result;
    }
    named.push_back(field);
    if (IsOurs(*field) || base::Inspect(value).blank) continue;
    const std::string fault = SetField(*field, value, options_.latest, user);
    if (!fault.empty()) result.faults.push_back(absl::StrCat(name, " ", fault));
  }
  if (user.profile.user_id() == 0) {
    if (result.faults.empty()) result.faults.emplace_back("user_id is missing");
    return result;
  }
  CheckUser(user.profile, result.faults);
  if (user.profile.user_id() != 0) result.user = std::move(user);
  return result;
}

}  // namespace userprofile::app
