#include "server/postgres/table_names.h"

#include "absl/strings/str_cat.h"
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

// What the catalog says may hold anything there.
TEST(TableNamesTest, LeavesWhatIsQuotedAsItIs) {
  for (const char* sql : {
           "source IN ('import:users', 'a'':users', ':schema')",
           "E'it\\':users' || e'\\\\' || E'a'':users' || B'1' || N':users'",
           "\":users\" = \"a\"\":users\"",
           "$$ :users $$ || $it$ $$ :'users' $it$",
           "-- it's :users\n/* :users /* ' */ :'schema' */",
           "a$b$ > 1 AND tags[1:users] = tags[array_length(x, 1):schema]",
       }) {
    EXPECT_EQ(NameTables(sql, "s"), sql);
    const std::string after = absl::StrCat(sql, "\n, :users");
    EXPECT_EQ(NameTables(after, "s"), absl::StrCat(sql, "\n, s.users"));
  }
  EXPECT_EQ(NameTables("'never closed :users", "s"), "'never closed :users");
}

// It is said of sentences with SQL in them, too.
TEST(TableNamesTest, TakesNoApostropheForAQuote) {
  EXPECT_EQ(NameTables("it can't be, for it is others': SELECT $1 FROM :users "
                       "WHERE a$1$ = 'x:users' AND b = 2; or don't",
                       "s"),
            "it can't be, for it is others': SELECT $1 FROM s.users "
            "WHERE a$1$ = 'x:users' AND b = 2; or don't");
}

}  // namespace
}  // namespace userprofile::postgres
