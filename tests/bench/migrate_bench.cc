// Migrates a database on, past the migrations of this version: with one to add
// a column and those to fill it, to forbid NULL and to index it, as a later
// version would; and with one more that only adds a column.

#include <iostream>
#include <string>
#include <vector>

#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/migrator.h"

namespace userprofile {
namespace {

using migrations::Kind;

const migrations::Migration kLater[] = {
    {901, "add_display_name", "a",
     "ALTER TABLE users ADD COLUMN IF NOT EXISTS display_name text"},
    {902, "fill_display_name", "b",
     "WITH lacking AS (SELECT user_id FROM users"
     "  WHERE user_id > $1 AND user_id <= $2 AND display_name IS NULL"
     "  ORDER BY user_id FOR NO KEY UPDATE)"
     " UPDATE users SET display_name = coalesce(real_name, first_name, '')"
     " FROM lacking WHERE users.user_id = lacking.user_id",
     Kind::kBatches},
    {903, "index_display_name", "c",
     "CREATE INDEX CONCURRENTLY idx_users_display_name"
     " ON users (display_name)",
     Kind::kIndex, "idx_users_display_name"},
    {904, "add_note", "d",
     "ALTER TABLE users ADD COLUMN IF NOT EXISTS note text"},
};

int Run(const std::string& conninfo, int last) {
  std::vector<migrations::Migration> all(migrations::Embedded().begin(),
                                         migrations::Embedded().end());
  for (const migrations::Migration& migration : kLater) {
    if (migration.version <= last) all.push_back(migration);
  }
  schema::MigrateOptions options;
  options.migrations = all;
  options.tool_version = "bench";
  postgres::ConnectOptions connect;
  connect.conninfo = conninfo;
  const auto result =
      schema::Migrate([&] { return postgres::Connect(connect); }, options);
  if (result.ok()) return 0;
  std::cerr << result.status() << std::endl;
  return 1;
}

}  // namespace
}  // namespace userprofile

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "userprofile-migrate-bench CONNINFO LAST_VERSION" << std::endl;
    return 2;
  }
  return userprofile::Run(argv[1], std::stoi(argv[2]));
}
