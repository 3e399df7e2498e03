#ifndef USERPROFILE_SERVER_STORE_TESTING_USERS_DATABASE_H_
#define USERPROFILE_SERVER_STORE_TESTING_USERS_DATABASE_H_

#include <cstdint>
#include <string>

#include "server/postgres/session.h"
#include "tests/support/test_database.h"

namespace userprofile::store {

// A test database with the users table in it, as the migrations leave it.
class UsersDatabase : public testing::TestDatabase {
 public:
  UsersDatabase();

  // One for all tests of the program, for those that need no more than an empty
  // table.
  static UsersDatabase& Shared();

  // Removes all users and sessions; then makes sessions as the server would.
  postgres::SessionFactory EmptySessions();

  // A column of pg_stat_user_tables for the users table, once it is at least
  // `least`, or what it is after 20 s: sessions report as they end.
  std::int64_t AwaitStatistic(const std::string& column, std::int64_t least);
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TESTING_USERS_DATABASE_H_
