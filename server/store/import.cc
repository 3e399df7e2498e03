#include "server/store/import.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/postgres/array_literal.h"
#include "server/store/profile_rows.h"
#include "server/store/session_executor.h"
#include "server/store/statements.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Timestamp;
using postgres::ArrayLiteral;

bool IsSeen(const std::string& text) { return !base::Inspect(text).blank; }

// What a user who is not there becomes. Whoever left a real name and a nickname
// had answered the questions.
v1::Profile RowOf(const ImportedUser& user, absl::Time now) {
  v1::Profile row = user.profile;
  row.set_is_active(user.is_active.value_or(true));
  row.set_onboarding_completed(user.onboarding_completed.value_or(
      IsSeen(row.real_name()) && IsSeen(row.nickname())));
  absl::Time created = now;
  for (const auto& [has, time] :
       {std::pair(row.has_created_at(), &row.created_at()),
        {row.has_last_seen_at(), &row.last_seen_at()},
        {row.has_last_activity(), &row.last_activity()}}) {
    if (has) created = std::min(created, FromTimestamp(*time));
  }
  SetTimestamp(created, row.mutable_created_at());
  SetTimestamp(now, row.mutable_updated_at());
  row.set_revision(1);
  row.clear_created_by_event();
  return row;
}

void Append(const v1::Profile& row, const FieldDescriptor* field,
            ArrayLiteral& array) {
  const auto& reflection = *v1::Profile::GetReflection();
  if (field->has_presence() && !reflection.HasField(row, field)) {
    return array.AppendNull();
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return array.AppendInt64(reflection.GetInt64(row, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return array.AppendBool(reflection.GetBool(row, field));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string& text = users::Text(row, field);
      return text.empty() ? array.AppendNull() : array.AppendText(text);
    }
    default:
      break;
  }
  const auto& message = reflection.GetMessage(row, field);
  const auto* time =
      google::protobuf::DynamicCastToGenerated<Timestamp>(&message);
  array.AppendText(time != nullptr ? SqlTime(FromTimestamp(*time))
                                   : SqlObject(row.attributes()));
}

postgres::Parameters ParametersOf(absl::Span<const ImportedUser> users,
                                  absl::Time now) {
  std::vector<ArrayLiteral> arrays(users::Columns().size());
  for (const ImportedUser& user : users) {
    const v1::Profile row = RowOf(user, now);
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      Append(
          row,
          v1::Profile::descriptor()->FindFieldByName(users::Columns()[i].name),
          arrays[i]);
    }
  }
  postgres::Parameters parameters = {SqlTime(now)};
  for (auto& array : FinishArrays(arrays)) {
    parameters.push_back(std::move(array));
  }
  return parameters;
}

// Whoever had answered the questions has, though another has the nickname now.
void TakeNicknameAway(ImportedUser& user) {
  user.result = absl::AlreadyExistsError("another user has this nickname");
  if (!user.onboarding_completed && IsSeen(user.profile.real_name())) {
    user.onboarding_completed = true;
  }
  user.profile.clear_nickname();
}

// Takes nicknames away that others have, stored or before in the list. Whoever
// has one already keeps that, and takes none.
absl::Status DropTakenNicknames(postgres::Session& session,
                                absl::Span<ImportedUser> users) {
  ArrayLiteral ids;
  ArrayLiteral nicknames;
  for (const ImportedUser& user : users) {
    ids.AppendInt64(user.profile.user_id());
    nicknames.AppendText(user.profile.nickname());
  }
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.Execute(kFindTakenNicknames, {ids.Finish(), nicknames.Finish()}));
  absl::flat_hash_set<std::int64_t> taken;
  absl::flat_hash_set<std::int64_t> settled;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    (rows.Bool(row, 1) ? settled : taken).insert(rows.Int64(row, 0));
  }
  absl::flat_hash_set<std::string> seen;
  for (ImportedUser& user : users) {
    const std::string nickname = user.profile.nickname();
    if (nickname.empty() || settled.contains(user.profile.user_id())) continue;
    if (taken.contains(user.profile.user_id()) ||
        !seen.insert(nickname).second) {
      TakeNicknameAway(user);
    }
  }
  return absl::OkStatus();
}

bool IsOfTheRow(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status);
}

absl::StatusOr<postgres::Rows> Execute(postgres::Session& session,
                                       absl::Span<const ImportedUser> users,
                                       absl::Time now, bool dry_run) {
  if (!dry_run) return session.Execute(kImportUsers, ParametersOf(users, now));
  USERPROFILE_RETURN_IF_ERROR(session.ExecuteScript("BEGIN").status());
  auto rows = session.Execute(kImportUsers, ParametersOf(users, now));
  const absl::Status back = session.ExecuteScript("ROLLBACK").status();
  if (rows.ok() && !back.ok()) return back;
  return rows;
}

// Half by half where the database refuses some, until those are alone.
absl::StatusOr<ImportCounts> Write(postgres::Session& session,
                                   absl::Span<ImportedUser> users,
                                   absl::Time now, bool dry_run) {
  ImportCounts counts;
  // Somebody may come meanwhile, who is neither found nor inserted.
  for (bool all_written = false; !all_written;) {
    const auto rows = Execute(session, users, now, dry_run);
    if (IsOfTheRow(rows.status()) && users.size() > 1) {
      const std::size_t half = users.size() / 2;
      for (const auto part : {users.first(half), users.subspan(half)}) {
        USERPROFILE_ASSIGN_OR_RETURN(const ImportCounts written,
                                     Write(session, part, now, dry_run));
        counts.created += written.created;
        counts.changed += written.changed;
      }
      return counts;
    }
    if (IsOfTheRow(rows.status())) {
      ImportedUser& user = users.front();
      // Somebody may have taken the nickname meanwhile.
      if (absl::IsAlreadyExists(rows.status()) &&
          !user.profile.nickname().empty()) {
        TakeNicknameAway(user);
        continue;
      }
      user.result = absl::InvalidArgumentError(rows.status().message());
      return counts;
    }
    if (!rows.ok()) return rows.status();
    counts.created += rows->Int64(0, 0);
    counts.changed += rows->Int64(0, 1);
    all_written = dry_run || rows->Int64(0, 0) == rows->Int64(0, 2);
    for (const absl::string_view id :
         absl::StrSplit(rows->Text(0, 3), ',', absl::SkipEmpty())) {
      for (ImportedUser& user : users) {
        if (absl::StrCat(user.profile.user_id()) == id) {
          user.attributes_left_out = true;
        }
      }
    }
  }
  return counts;
}

}  // namespace

absl::StatusOr<ImportCounts> ImportUsers(postgres::Session& session,
                                         absl::Span<ImportedUser> users,
                                         absl::Time now, bool dry_run) {
  if (users.empty()) return ImportCounts();
  USERPROFILE_RETURN_IF_ERROR(DropTakenNicknames(session, users));
  return Write(session, users, now, dry_run);
}

}  // namespace userprofile::store
