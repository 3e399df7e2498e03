#include "server/store/edits.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/postgres/errors.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

struct EditOperation final : SqlOperation {
  EditOperation(EditCall c, CallContext context, Done done)
      : SqlOperation(std::move(context), std::move(done), c.user_id),
        call(std::move(c)) {}

  const EditCall call;
};

struct DeleteOperation final : SqlOperation {
  DeleteOperation(const DeleteCall& c, CallContext context, Done done)
      : SqlOperation(std::move(context), std::move(done), c.user_id), call(c) {}

  const DeleteCall call;

  // When the row that is to be deleted was created, as PostgreSQL writes it;
  // empty until it was seen.
  std::string life;
};

using Edits = std::vector<EditOperation*>;
using Deletes = std::vector<DeleteOperation*>;

// Whether the error of a statement for one user says that the nickname is
// taken. PostgreSQL names the index, in quotes that go by its language.
bool SaysNicknameTaken(SessionExecutor& by, const absl::Status& error) {
  if (!absl::IsAlreadyExists(error)) return false;
  const absl::string_view message = error.message();
  const auto quotes = [&](std::size_t at) {
    return at < message.size() && message[at] != ' ' && message[at] != '_' &&
           !absl::ascii_isalnum(static_cast<unsigned char>(message[at]));
  };
  const absl::StatusOr<postgres::Rows> indexes = by.Query(kNicknameIndexes, {});
  if (!indexes.ok()) return false;
  for (std::size_t row = 0; row < indexes->size(); ++row) {
    const absl::string_view name = indexes->Text(row, 0);
    // Other words of the message may hold the name, too.
    for (std::size_t at = message.find(name); at != absl::string_view::npos;
         at = message.find(name, at + 1)) {
      if (quotes(at - 1) && quotes(at + name.size())) return true;
    }
  }
  return false;
}

postgres::Parameters EditParameters(const Edits& edits) {
  const auto& texts = users::AnswerTexts();
  std::vector<postgres::ArrayLiteral> arrays(1 + texts.size() + 4);
  postgres::ArrayLiteral& completed = arrays[1 + texts.size()];
  postgres::ArrayLiteral& revisions = arrays[1 + texts.size() + 1];
  postgres::ArrayLiteral& patches = arrays[1 + texts.size() + 2];
  postgres::ArrayLiteral& replaces = arrays[1 + texts.size() + 3];
  for (const EditOperation* edit : edits) {
    const EditCall& call = edit->call;
    arrays[0].AppendInt64(call.user_id);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (users::Has(call.changes, texts[i].stored)) {
        arrays[1 + i].AppendText(users::Text(call.changes, texts[i].stored));
      } else {
        arrays[1 + i].AppendNull();
      }
    }
    completed.AppendBool(call.onboarding_completed);
    revisions.AppendInt64(call.expected_revision);
    if (call.changes.has_attributes()) {
      patches.AppendText(SqlObject(call.changes.attributes()));
    } else {
      patches.AppendNull();
    }
    replaces.AppendBool(call.replace_attributes);
  }
  return FinishArrays(arrays);
}

// What to answer an edit of which kEditUsers says this, of a user who is this
// now.
absl::Status Outcome(const EditOperation& edit, absl::string_view verdict,
                     const v1::Profile& stored) {
  if (verdict == "written" || verdict == "same" ||
      edit.Wrote(stored.updated_at())) {
    return absl::OkStatus();
  }
  const std::int64_t user_id = edit.call.user_id;
  if (verdict == "revision")
    return RevisionMismatch(user_id, stored.revision());
  if (verdict == "onboarded") return AlreadyOnboarded(user_id);
  if (verdict == "too large") return AttributesTooLarge(user_id);
  return RowRejected();  // by a foreign trigger or rule
}

// Makes edits as one statement. A nickname that is taken fails the statement:
// the lane finds whose it is.
absl::Status WriteEdits(SessionExecutor& by, const Edits& edits, bool alone,
                        absl::Time now) {
  postgres::Parameters parameters = EditParameters(edits);
  parameters.push_back(SqlTime(now));
  const absl::StatusOr<postgres::Rows> rows = by.Query(kEditUsers, parameters);
  if (alone && SaysNicknameTaken(by, rows.status())) {
    edits[0]->result =
        NicknameTaken(absl::StrCat(edits[0]->call.given_in, ".nickname"));
    return absl::OkStatus();
  }
  USERPROFILE_RETURN_IF_ERROR(rows.status());
  absl::flat_hash_map<std::int64_t, EditOperation*> open;
  for (EditOperation* edit : edits) open.emplace(edit->call.user_id, edit);
  const int verdict = static_cast<int>(users::Columns().size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto found = open.find(UserId(*rows, row));
    if (found == open.end()) continue;
    EditOperation& edit = *found->second;
    open.erase(found);
    ReadProfile(*rows, row, edit.call.profile);
    edit.result = Outcome(edit, rows->Text(row, verdict), *edit.call.profile);
  }
  if (!open.empty()) USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
  for (const auto& [user_id, edit] : open) edit->result = UserNotFound(user_id);
  return absl::OkStatus();
}

// Finds out whom the deletions are about: a user who is created anew between
// two tries is not to be deleted by the second one. Those that are decided go.
absl::Status ReadLives(SessionExecutor& by, Deletes& deletes) {
  postgres::ArrayLiteral ids;
  absl::flat_hash_map<std::int64_t, DeleteOperation*> unseen;
  for (DeleteOperation* one : deletes) {
    if (!one->life.empty()) continue;
    ids.AppendInt64(one->call.user_id);
    unseen.emplace(one->call.user_id, one);
  }
  if (unseen.empty()) return absl::OkStatus();
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(kReadLives, {ids.Finish()}));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto found = unseen.find(UserId(rows, row));
    if (found == unseen.end()) continue;
    found->second->life = std::string(rows.Text(row, 1));
    unseen.erase(found);
  }
  if (unseen.empty()) return absl::OkStatus();
  USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
  for (const auto& [user_id, one] : unseen) one->result = UserNotFound(user_id);
  deletes.erase(
      std::remove_if(deletes.begin(), deletes.end(),
                     [](const auto* one) { return one->life.empty(); }),
      deletes.end());
  return absl::OkStatus();
}

// Deletes users by one statement. Who is not there any more is deleted.
absl::Status DeleteUsers(SessionExecutor& by, Deletes deletes) {
  USERPROFILE_RETURN_IF_ERROR(ReadLives(by, deletes));
  if (deletes.empty()) return absl::OkStatus();
  std::vector<postgres::ArrayLiteral> arrays(3);
  absl::flat_hash_map<std::int64_t, DeleteOperation*> of_user;
  for (DeleteOperation* one : deletes) {
    arrays[0].AppendInt64(one->call.user_id);
    arrays[1].AppendText(one->life);
    arrays[2].AppendInt64(one->call.expected_revision);
    of_user.emplace(one->call.user_id, one);
  }
  const absl::StatusOr<postgres::Rows> rows =
      by.Query(kDeleteUsers, FinishArrays(arrays));
  if (postgres::SqlState(rows.status()) == postgres::kInsufficientPrivilege) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows granted,
                                 by.Query(kMayDelete, {}));
    for (DeleteOperation* one : deletes) {
      one->result = granted.Bool(0, 0) ? RowRejected()  // a trigger may not
                                       : DeleteNotGranted();
    }
    return absl::OkStatus();
  }
  USERPROFILE_RETURN_IF_ERROR(rows.status());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto found = of_user.find(UserId(*rows, row));
    if (found == of_user.end()) continue;
    DeleteOperation& one = *found->second;
    of_user.erase(found);
    if (rows->Bool(row, 2)) continue;  // deleted
    const std::int64_t stored = rows->Int64(row, 1);
    one.result = one.call.expected_revision.value_or(stored) == stored
                     ? RowRejected()  // a foreign trigger kept it
                     : RevisionMismatch(one.call.user_id, stored);
  }
  // The others are gone, perhaps by a try that was lost, and that only here.
  return of_user.empty() ? absl::OkStatus() : by.ProveAbsence();
}

}  // namespace

std::unique_ptr<Operation> MakeEdit(EditCall call, CallContext context,
                                    Done done) {
  return std::make_unique<EditOperation>(std::move(call), std::move(context),
                                         std::move(done));
}

std::unique_ptr<Operation> MakeEdit(DeleteCall call, CallContext context,
                                    Done done) {
  return std::make_unique<DeleteOperation>(call, std::move(context),
                                           std::move(done));
}

absl::Status RunEdits(SessionExecutor& by, SessionExecutor::Batch batch,
                      absl::Time now) {
  Edits edits;
  Deletes deletes;
  for (Operation* operation : batch) {
    if (auto* edit = dynamic_cast<EditOperation*>(operation)) {
      edits.push_back(edit);
    } else {
      deletes.push_back(static_cast<DeleteOperation*>(operation));
    }
  }
  if (edits.empty()) return DeleteUsers(by, deletes);
  // By themselves: what may fail there is not to let edits go again.
  for (DeleteOperation* one : deletes) one->retry = true;
  return WriteEdits(by, edits, /*alone=*/batch.size() == 1, now);
}

}  // namespace userprofile::store
