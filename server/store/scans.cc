#include "server/store/scans.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "server/store/errors.h"
#include "server/store/filter.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"
#include "server/users/columns.h"
#include "server/users/token_key.h"

namespace userprofile::store {
namespace {

// Only a table that nobody else can have made is read.
absl::Status RunTokenKey(SessionExecutor& by, std::string* key,
                         absl::Status& result) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows matter,
                               by.Query(kFindTokenKey, {absl::nullopt}));
  if (matter.size() != 1 || !matter.IsNull(0, 0)) {
    result = TokensUnavailable();
    return absl::OkStatus();
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(kReadTokenKey, {}));
  if (rows.size() == 1) *key = absl::HexStringToBytes(rows.Text(0, 0));
  if (key->size() != users::kTokenKeySize) result = TokensUnavailable();
  return absl::OkStatus();
}

postgres::Parameters ParametersOf(const ScanCall& call,
                                  absl::optional<std::int64_t> most_scanned) {
  postgres::Parameters parameters = {absl::StrCat(call.after), absl::nullopt};
  if (most_scanned) parameters[1] = absl::StrCat(*most_scanned);
  AddFilter(call.filter, parameters);
  return parameters;
}

// The user whom the statement looked at last, as each of its rows says.
absl::optional<std::int64_t> LastReached(const postgres::Rows& rows,
                                         int place) {
  if (rows.empty() || rows.IsNull(0, place)) return absl::nullopt;
  return rows.Int64(0, place);
}

absl::Status RunList(SessionExecutor& by, const ScanCall& call) {
  // Without a filter each user who is looked at is found.
  const bool finds_all = call.filter.ByteSizeLong() == 0;
  absl::optional<std::int64_t> most_scanned;
  if (!finds_all) most_scanned = call.most_scanned;
  postgres::Parameters parameters = ParametersOf(call, most_scanned);
  parameters.push_back(absl::StrCat(call.most_found));
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(kListProfiles, parameters));
  std::vector<bool> unwanted;
  for (const users::Column& column : users::Columns()) {
    unwanted.push_back(!call.Wants(column.name));
  }
  ScanCall::Result& result = *call.result;
  result = {};
  result.reached = call.after;
  for (std::size_t row = 0; row < rows.size() && !result.is_full; ++row) {
    if (rows.IsNull(row, 0)) continue;  // nobody was found
    const std::int64_t user_id = UserId(rows, row);
    if (user_id <= *result.reached) {
      return absl::InternalError("PostgreSQL gave users out of order");
    }
    ReadProfile(rows, row, call.profiles->Add(), unwanted);
    call.NoteFound(user_id);
  }
  if (!result.is_full) {
    result.reached = LastReached(rows, static_cast<int>(unwanted.size()));
  }
  return absl::OkStatus();
}

absl::Status RunCount(SessionExecutor& by, const ScanCall& call) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      by.Query(kCountProfiles, ParametersOf(call, call.most_scanned)));
  *call.result = {};
  call.result->count = rows.empty() ? 0 : rows.Int64(0, 0);
  call.result->reached = LastReached(rows, 1);
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Operation> MakeScan(ScanCall call, CallContext context,
                                    Done done) {
  return std::make_unique<ScanOperation>(
      [call](SessionExecutor& by, absl::Status& /*result*/) {
        return call.profiles == nullptr ? RunCount(by, call)
                                        : RunList(by, call);
      },
      std::move(context), std::move(done));
}

std::unique_ptr<Operation> MakeTokenKeyRead(std::string* key,
                                            CallContext context, Done done) {
  return std::make_unique<ScanOperation>(
      [key](SessionExecutor& by, absl::Status& result) {
        return RunTokenKey(by, key, result);
      },
      std::move(context), std::move(done));
}

absl::Status RunScans(SessionExecutor& by, SessionExecutor::Batch batch,
                      absl::Time /*now*/) {
  auto* operation = static_cast<ScanOperation*>(batch.front());
  return operation->run(by, operation->result);
}

}  // namespace userprofile::store
