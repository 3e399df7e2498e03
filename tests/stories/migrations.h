#ifndef USERPROFILE_TESTS_STORIES_MIGRATIONS_H_
#define USERPROFILE_TESTS_STORIES_MIGRATIONS_H_

#include <functional>
#include <string>

#include "tests/support/program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {

// How many migrations a server brings.
int CountMigrations();

// The command that applies them.
Program::Options MigrateUp(const std::string& conninfo);

// How many statements a command sends to a database that `prepare` makes.
int StatementsOf(Program::Options (*command)(const std::string& conninfo),
                 const std::function<void(const TestDatabase&)>& prepare);

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_STORIES_MIGRATIONS_H_
