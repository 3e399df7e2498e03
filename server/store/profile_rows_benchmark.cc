#include "server/store/profile_rows.h"

#include <benchmark/benchmark.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/postgres/array_literal.h"
#include "server/store/statements.h"
#include "server/store/testing/users_database.h"

namespace userprofile::store {
namespace {

constexpr int kUsers = 128;

// From what the driver returned to messages, without the way from the database.
void BM_ReadProfile(benchmark::State& state) {
  UsersDatabase database;
  database.Execute(absl::StrCat(
      "INSERT INTO users (user_id, username, first_name, last_name,"
      " language_code, last_seen_at, updated_at, last_activity)"
      " SELECT id, 'user' || id, 'Test', 'User', 'en', now(), now(), now()"
      " FROM generate_series(1, ",
      kUsers, ") AS id"));
  const auto session = database.Connect();
  postgres::ArrayLiteral ids;
  for (int id = 1; id <= kUsers; ++id) ids.AppendInt64(id);
  const absl::StatusOr<postgres::Rows> rows =
      session->Execute(kGetProfiles, {ids.Finish()});
  if (!rows.ok()) return state.SkipWithError("the rows can't be read");
  for (auto _ : state) {
    for (std::size_t row = 0; row < rows->size(); ++row) {
      v1::Profile profile;
      ReadProfile(*rows, row, &profile);
      benchmark::DoNotOptimize(profile);
    }
  }
  state.SetItemsProcessed(state.iterations() *
                          static_cast<std::int64_t>(rows->size()));
}
BENCHMARK(BM_ReadProfile);

}  // namespace
}  // namespace userprofile::store
