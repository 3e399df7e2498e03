#include "server/schema/sql_script.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "migrations/embedded.h"

namespace userprofile::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SqlScriptTest, SplitsWhereAStatementEnds) {
  EXPECT_THAT(SplitStatements("SELECT 1; SELECT 2"),
              ElementsAre("SELECT 1", "SELECT 2"));
  EXPECT_THAT(SplitStatements("SELECT 1;\n\n;  SELECT 2;\n"),
              ElementsAre("SELECT 1", "SELECT 2"));
  EXPECT_THAT(SplitStatements(""), IsEmpty());
  EXPECT_THAT(SplitStatements(" ;\n-- nothing\n/* at all */ ;"), IsEmpty());
}

TEST(SqlScriptTest, KeepsTogetherWhatHoldsASemicolon) {
  for (const char* statement : {
           "SELECT 'a;b'",
           "SELECT 'it''s;'",
           "SELECT \"a;b\"",
           "-- a comment; it's one\nSELECT 1",
           "/* a; /* nested; */ b; */ SELECT 1",
           "DO $$ BEGIN PERFORM 1; END $$",
           "DO $body$ BEGIN PERFORM '$$;'; END $body$",
           "SELECT $1::text || 'x;', $2",
       }) {
    EXPECT_THAT(SplitStatements(std::string(statement) + ";\nSELECT 2"),
                ElementsAre(statement, "SELECT 2"));
  }
}

TEST(SqlScriptTest, TakesTextThatNeverEndsAsTheLastStatement) {
  EXPECT_THAT(SplitStatements("SELECT 1; SELECT 'a;b"),
              ElementsAre("SELECT 1", "SELECT 'a;b"));
  EXPECT_THAT(SplitStatements("SELECT 1; DO $$ ;"),
              ElementsAre("SELECT 1", "DO $$ ;"));
}

TEST(SqlScriptTest, FindsOneStatementInFilesThatMayHoldOnlyOne) {
  for (const migrations::Migration& migration : migrations::Embedded()) {
    if (migration.kind == migrations::Kind::kTransaction) continue;
    EXPECT_EQ(SplitStatements(migration.sql).size(), 1u) << migration.name;
  }
}

}  // namespace
}  // namespace userprofile::schema
