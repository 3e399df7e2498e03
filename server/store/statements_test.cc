#include "server/store/statements.h"

#include "base/read_file.h"
#include "gtest/gtest.h"

namespace userprofile::store {
namespace {

TEST(StatementsTest, AreTheSqlThatWasReviewed) {
  const auto golden = base::ReadFile(GOLDEN_STATEMENTS);
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_EQ(AllStatements(), *golden)
      << "If the new SQL is right (its plans are tested, its speed is not):\n"
         "  build/dev/bin/userprofile-server schema sql >"
         " server/store/statements.sql";
}

}  // namespace
}  // namespace userprofile::store
