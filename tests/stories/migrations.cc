#include "tests/stories/migrations.h"

#include <filesystem>
#include <iterator>

#include "gtest/gtest.h"
#include "tests/support/postgres_proxy.h"

namespace userprofile::testing {

int CountMigrations() {
  return static_cast<int>(
      std::distance(std::filesystem::directory_iterator(USERPROFILE_SOURCE_DIR
                                                        "/migrations/versions"),
                    std::filesystem::directory_iterator()));
}

Program::Options MigrateUp(const std::string& conninfo) {
  return {{"userprofile-server", "migrate", "up", "--database", conninfo}};
}

int StatementsOf(Program::Options (*command)(const std::string&),
                 const std::function<void(const TestDatabase&)>& prepare) {
  TestDatabase database;
  prepare(database);
  const PostgresProxy proxy(database.conninfo());
  const Outcome outcome = RunProgram(command(proxy.conninfo()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  return proxy.statements();
}

}  // namespace userprofile::testing
