#include "ops/readiness.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::Status State(const std::string& reason) {
  return base::MakeError(absl::StatusCode::kUnavailable, "a sentence", reason);
}

TEST(ReadinessTest, BeginsAsStartingAndAdmitsNothing) {
  Readiness readiness;
  EXPECT_EQ(readiness.state().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(base::ErrorReason(readiness.state()), "STARTING");
  EXPECT_EQ(readiness.AdmitRequest(), readiness.state());
}

TEST(ReadinessTest, FollowsWhatItIsTold) {
  Readiness readiness;
  readiness.Set(absl::OkStatus());
  EXPECT_TRUE(readiness.state().ok());
  EXPECT_TRUE(readiness.AdmitRequest().ok());
  readiness.Set(State("SCHEMA_NOT_READY"));
  EXPECT_EQ(readiness.state(), State("SCHEMA_NOT_READY"));
  EXPECT_EQ(readiness.AdmitRequest(), State("SCHEMA_NOT_READY"));
}

TEST(ReadinessTest, AdmitsWhileTheDatabaseOfARightSchemaIsAway) {
  Readiness readiness;
  readiness.Set(absl::OkStatus());
  readiness.Set(State("DATABASE_UNAVAILABLE"));
  EXPECT_FALSE(readiness.state().ok());
  EXPECT_TRUE(readiness.AdmitRequest().ok());
}

TEST(ReadinessTest, AdmitsNothingWhileADatabaseNeverSeenIsAway) {
  Readiness readiness;
  readiness.Set(State("DATABASE_UNAVAILABLE"));
  EXPECT_EQ(readiness.AdmitRequest(), State("DATABASE_UNAVAILABLE"));
}

TEST(ReadinessTest, AdmitsNothingWhileTheDatabaseOfABadSchemaIsAway) {
  Readiness readiness;
  readiness.Set(State("SCHEMA_NOT_READY"));
  readiness.Set(State("DATABASE_UNAVAILABLE"));
  EXPECT_EQ(readiness.AdmitRequest(), State("DATABASE_UNAVAILABLE"));
}

TEST(ReadinessTest, AdmitsWhileWritesDoNotGoThrough) {
  Readiness readiness;
  readiness.Set(absl::OkStatus());
  readiness.SetWrites(State("REPLICATION_STALLED"));
  EXPECT_EQ(readiness.state(), State("REPLICATION_STALLED"));
  EXPECT_TRUE(readiness.AdmitRequest().ok());

  // It says more than that the database does not answer, and less than that
  // the schema is not right.
  readiness.Set(State("DATABASE_UNAVAILABLE"));
  EXPECT_EQ(readiness.state(), State("REPLICATION_STALLED"));
  readiness.Set(State("SCHEMA_NOT_READY"));
  EXPECT_EQ(readiness.state(), State("SCHEMA_NOT_READY"));
  readiness.SetWrites(absl::OkStatus());
  readiness.Set(absl::OkStatus());
  EXPECT_TRUE(readiness.state().ok());
}

TEST(ReadinessTest, SaysOfTheDatabaseWhatTheFailureKnows) {
  for (const std::string reason :
       {"DATABASE_READ_ONLY", "REPLICATION_STALLED", "DEPOSED_PRIMARY",
        "WRONG_DATABASE", "POOLER_UNSUPPORTED"}) {
    const absl::Status state = DatabaseState(State(reason));
    EXPECT_EQ(base::ErrorReason(state), reason);
    EXPECT_NE(state.message(), State(reason).message());
    Readiness readiness;
    readiness.Set(absl::OkStatus());
    readiness.Set(state);
    EXPECT_TRUE(readiness.AdmitRequest().ok());
  }
  for (const absl::Status& failure :
       {absl::UnavailableError(""), State("SCHEMA_NOT_READY"),
        State("OTHER")}) {
    EXPECT_EQ(base::ErrorReason(DatabaseState(failure)),
              "DATABASE_UNAVAILABLE");
  }
}

TEST(ReadinessTest, FollowsWhetherEachLaneWorks) {
  Readiness readiness;
  readiness.Set(absl::OkStatus());
  std::vector<std::string> reasons;
  readiness.Subscribe([&](const absl::Status& state) {
    reasons.push_back(base::ErrorReason(state));
  });
  readiness.SetLane("upsert_user", "SQLSTATE 53100");
  EXPECT_EQ(
      readiness.state().message(),
      "PostgreSQL carries out no upsert_user (SQLSTATE 53100); the log says "
      "more");
  EXPECT_TRUE(readiness.AdmitRequest().ok());
  readiness.SetLane("get_profile", "no connection");
  readiness.Set(State("SCHEMA_NOT_READY"));  // goes before
  readiness.Set(absl::OkStatus());
  readiness.SetLane("get_profile", "");
  EXPECT_FALSE(readiness.state().ok());
  readiness.SetLane("upsert_user", "");
  EXPECT_TRUE(readiness.state().ok());
  EXPECT_EQ(reasons.front(), "");
  EXPECT_EQ(reasons[1], "DATABASE_UNAVAILABLE");
  EXPECT_EQ(reasons.back(), "");
}

TEST(ReadinessTest, ShutDownIsTheLastState) {
  Readiness readiness;
  readiness.Set(absl::OkStatus());
  readiness.ShutDown();
  readiness.Set(absl::OkStatus());
  EXPECT_EQ(base::ErrorReason(readiness.state()), "SHUTTING_DOWN");
}

TEST(ReadinessTest, DrainingAdmitsOnlyWhereTheSchemaWasRight) {
  Readiness ready;
  ready.Set(absl::OkStatus());
  ready.ShutDown();
  EXPECT_TRUE(ready.AdmitRequest().ok());

  Readiness starting;
  starting.ShutDown();
  EXPECT_EQ(base::ErrorReason(starting.AdmitRequest()), "SHUTTING_DOWN");
}

TEST(ReadinessTest, ListenersHearTheStateNowAndEachChangeOnce) {
  Readiness readiness;
  std::vector<std::string> heard;
  readiness.Subscribe([&](const absl::Status& state) {
    heard.push_back(state.ok() ? "READY" : base::ErrorReason(state));
  });
  readiness.Set(absl::OkStatus());
  readiness.Set(absl::OkStatus());
  readiness.Set(State("SCHEMA_NOT_READY"));
  readiness.ShutDown();
  readiness.ShutDown();
  EXPECT_THAT(heard, ElementsAre("STARTING", "READY", "SCHEMA_NOT_READY",
                                 "SHUTTING_DOWN"));
}

TEST(ReadinessTest, ShowsItsState) {
  Metrics metrics;
  Readiness readiness(&metrics);
  for (const auto& [state, name] :
       std::vector<std::pair<absl::Status, std::string>>{
           {absl::OkStatus(), "READY"},
           {State("DATABASE_UNAVAILABLE"), "DATABASE_UNAVAILABLE"},
           {State("DEPOSED_PRIMARY"), "DEPOSED_PRIMARY"},
           {State("SCHEMA_NOT_READY"), "SCHEMA_NOT_READY"}}) {
    readiness.Set(state);
    const std::string text = metrics.Text();
    EXPECT_THAT(text, HasSubstr(state.ok() ? "userprofile_ready 1\n"
                                           : "userprofile_ready 0\n"));
    EXPECT_THAT(text,
                HasSubstr("userprofile_state{state=\"" + name + "\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("userprofile_state{state=\"STARTING\"} 0\n"));
  }
  EXPECT_THAT(metrics.Text(),
              HasSubstr("userprofile_state{state=\"READY\"} 0\n"));
}

}  // namespace
}  // namespace userprofile::ops
