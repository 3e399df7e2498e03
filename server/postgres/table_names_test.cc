#include "server/postgres/table_names.h"

#include "gtest/gtest.h"

namespace userprofile::postgres {
namespace {

TEST(TableNamesTest, PutsTheSchemaWhereSqlHasVariables) {
  struct Case {
    const char* sql;
    const char* schema;
    const char* named;
  };
  constexpr Case kCases[] = {
      {"SELECT * FROM :users", "public", "SELECT * FROM public.users"},
      {"SELECT :'users'::regclass", "public",
       "SELECT 'public.users'::regclass"},
      {"DROP INDEX :schema.i", "\"My bot\"", "DROP INDEX \"My bot\".i"},
      {":'users' :'schema'", "\"It's\"", "'\"It''s\".users' '\"It''s\"'"},
      {":users, :'users', :'schema'", "", "users, 'users', NULL"},
      {"a::users, b::text, :users_2, :'users", "s",
       "a::users, b::text, :users_2, :'users"},
      {"'HH:MI' :", "s", "'HH:MI' :"},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(NameTables(c.sql, c.schema), c.named);
  }
}

}  // namespace
}  // namespace userprofile::postgres
