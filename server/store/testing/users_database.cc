#include "server/store/testing/users_database.h"

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/steady_time.h"
#include "server/schema/migrator.h"

namespace userprofile::store {

UsersDatabase::UsersDatabase() {
  const auto result = schema::Migrate(session_factory());
  if (result.ok()) return;
  std::cerr << result.status() << std::endl;
  std::abort();
}

UsersDatabase& UsersDatabase::Shared() {
  static UsersDatabase database;
  return database;
}

postgres::SessionFactory UsersDatabase::EmptySessions() {
  Execute("TRUNCATE users, userprofile_sessions");
  return session_factory();
}

std::int64_t UsersDatabase::AwaitStatistic(const std::string& column,
                                           std::int64_t least) {
  const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(20);
  while (true) {
    const std::int64_t value = Execute(absl::StrCat("SELECT ", column,
                                                    " FROM pg_stat_user_tables"
                                                    " WHERE relname = 'users'"))
                                   .Int64(0, 0);
    if (value >= least || base::SteadyTime::Now() > limit) return value;
  }
}

}  // namespace userprofile::store
