#include "server/store/testing/users_database.h"

#include "migrations/embedded.h"

namespace userprofile::store {

UsersDatabase::UsersDatabase() {
  for (const migrations::Migration& migration : migrations::Embedded()) {
    // There are no rows to fill.
    if (migration.kind == migrations::Kind::kBatches) continue;
    Execute(migration.sql);
  }
}

UsersDatabase& UsersDatabase::Shared() {
  static UsersDatabase database;
  return database;
}

postgres::SessionFactory UsersDatabase::EmptySessions() {
  Execute("TRUNCATE users");
  return session_factory();
}

}  // namespace userprofile::store
