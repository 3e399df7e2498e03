#include "server/store/changes.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "server/store/errors.h"
#include "server/store/filter.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

// What kReadChanges returns after the profile.
enum ChangeColumn { kUser, kPlace, kIsDeletion, kIsUntold, kIsMatch };

int At(ChangeColumn column) {
  return static_cast<int>(users::Columns().size()) + column;
}

// The place is cluster, table, transaction, user id, revision and time.
absl::StatusOr<postgres::Parameters> ParametersOf(const ChangesCall& call) {
  const std::vector<std::string> parts = absl::StrSplit(*call.after, '.');
  if (parts.size() != 6) return TokenExpired();
  postgres::Parameters parameters = {parts[2], parts[3]};
  AddFilter(call.filter, parameters);
  parameters.insert(parameters.end(),
                    {parts[4], *call.after, absl::StrCat(call.limit),
                     call.include_contacts ? "t" : "f"});
  return parameters;
}

void Fill(const postgres::Rows& rows, const ChangesCall& call) {
  ChangesCall::Page& page = *call.page;
  absl::flat_hash_set<std::int64_t> told;
  std::size_t bytes = 0;
  page.more = rows.size() >= call.limit;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const ChangePlace before = *page.end;
    page.end = std::string(rows.Text(row, At(kPlace)));
    const std::int64_t user_id = rows.Int64(row, At(kUser));
    if (rows.Bool(row, At(kIsUntold)) || !told.insert(user_id).second) continue;
    const bool is_there = !rows.IsNull(row, 0);
    if (!is_there || rows.Bool(row, At(kIsDeletion))) {
      // Who came back is told as deleted, then as they are now, for one row. A
      // watch that is broken off between the two has to be told both again.
      page.changes.push_back({{}, is_there ? before : *page.end});
      page.changes.back().event.set_deleted_user_id(user_id);
    }
    if (!is_there) continue;
    page.changes.push_back({{}, *page.end});
    if (!rows.Bool(row, At(kIsMatch))) {
      page.changes.back().event.set_unmatched_user_id(user_id);
      continue;
    }
    v1::Profile* profile = page.changes.back().event.mutable_profile();
    ReadProfile(rows, row, profile);
    bytes += profile->ByteSizeLong();
    if (bytes >= call.most_bytes) {
      page.more = true;
      return;
    }
  }
}

}  // namespace

absl::Status RunChanges(SessionExecutor& by, const ChangesCall& call,
                        absl::Status& result) {
  *call.page = {};
  call.page->end = call.after;
  if (!call.after.has_value()) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows newest,
                                 by.Query(kFindNewestChange, {}));
    if (!newest.IsNull(0, 0)) call.page->end = std::string(newest.Text(0, 0));
    call.page->held_up = absl::Seconds(newest.Double(0, 1));
    return absl::OkStatus();
  }
  const auto parameters = ParametersOf(call);
  if (!parameters.ok()) {
    result = parameters.status();
    return absl::OkStatus();
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(kReadChanges, *parameters));
  if (rows.empty()) {
    USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
    result = TokenExpired();
  } else if (!rows.IsNull(0, At(kUser))) {
    Fill(rows, call);
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
