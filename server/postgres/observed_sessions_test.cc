#include "server/postgres/observed_sessions.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/test_database.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;

constexpr Statement kOne = {"one", "SELECT 1"};
constexpr Statement kNone = {"none", "SELECT * FROM nothing"};

class ObservedSessionsTest : public ::testing::Test {
 protected:
  testing::TestDatabase database_;
  ops::Metrics metrics_;
  const SessionFactory connect_ =
      ObserveSessions(database_.session_factory(), metrics_);
};

TEST_F(ObservedSessionsTest, AreCountedWhileTheyLive) {
  {
    const auto first = connect_();
    const auto second = connect_();
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_THAT(metrics_.Text(),
                HasSubstr("userprofile_database_connections 2\n"));
  }
  const std::string text = metrics_.Text();
  EXPECT_THAT(text, HasSubstr("userprofile_database_connections 0\n"));
  EXPECT_THAT(text,
              HasSubstr("userprofile_database_connections_made_total 2\n"));
  EXPECT_THAT(text,
              HasSubstr("userprofile_database_connections_lost_total 0\n"));
}

TEST_F(ObservedSessionsTest, AreLostWhenTheyAreCut) {
  auto session = connect_();
  ASSERT_TRUE(session.ok());
  database_.CutConnections();
  EXPECT_FALSE((*session)->Execute(kOne, {}).ok());
  session->reset();
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("userprofile_database_connections_lost_total 1\n"));
}

TEST_F(ObservedSessionsTest, TheirStatementsAreTimedByName) {
  const auto session = connect_();
  ASSERT_TRUE(session.ok());
  EXPECT_TRUE((*session)->Execute(kOne, {}).ok());
  EXPECT_FALSE((*session)->Execute(kNone, {}).ok());
  const std::string text = metrics_.Text();
  for (const char* line :
       {"statement_duration_seconds_count{statement=\"one\"} 1\n",
        "statement_duration_seconds_count{statement=\"none\"} 1\n",
        "statement_failures_total{statement=\"one\"} 0\n",
        "statement_failures_total{statement=\"none\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(ObservedSessionsTest, AFailureToConnectIsCounted) {
  const auto refused = ObserveSessions(
      []() -> absl::StatusOr<std::unique_ptr<Session>> {
        return absl::UnavailableError("away");
      },
      metrics_);
  EXPECT_TRUE(absl::IsUnavailable(refused().status()));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("userprofile_database_connect_failures_total 1\n"));
}

}  // namespace
}  // namespace userprofile::postgres
