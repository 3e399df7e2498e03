#include "server/store/get_profile.h"

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"

namespace userprofile::store {

absl::Status GetProfileExecutor::Execute(absl::Span<Operation* const> batch) {
  postgres::ArrayLiteral ids;
  for (const Operation* operation : batch) {
    ids.AppendInt64(
        static_cast<const GetProfileOperation&>(*operation).user_id);
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               Query(kGetProfiles, {ids.Finish()}));

  absl::flat_hash_map<std::int64_t, std::size_t> row_of_user;
  row_of_user.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    row_of_user.emplace(UserId(rows, row), row);
  }
  for (Operation* operation : batch) {
    auto& get = static_cast<GetProfileOperation&>(*operation);
    const auto row = row_of_user.find(get.user_id);
    if (row == row_of_user.end()) {
      get.result = UserNotFound(get.user_id);
    } else {
      ReadProfile(rows, row->second, get.response->mutable_profile());
    }
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
