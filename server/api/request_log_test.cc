#include "server/api/request_log.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "ops/logging.h"
#include "spdlog/spdlog.h"
#include "tests/support/captured_log.h"

namespace userprofile::api {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

absl::Status Gone() {
  return base::MakeError(absl::StatusCode::kUnavailable, "no database", "GONE");
}

absl::Status Unknown() {
  return base::MakeError(absl::StatusCode::kNotFound, "none", "USER_NOT_FOUND");
}

class RequestLogTest : public ::testing::Test {
 protected:
  void Log(const absl::Status& status,
           absl::Duration duration = absl::Milliseconds(12)) {
    EXPECT_TRUE(log_.Concerns(status, duration));
    log_.Log({"GetProfile",
              "crm",
              "0af7651916cd43dd8448eb211c80319c",
              status,
              duration,
              {absl::Milliseconds(4), absl::Milliseconds(6)}});
  }

  std::vector<nlohmann::json> Lines() {
    std::vector<nlohmann::json> lines;
    for (const absl::string_view line :
         absl::StrSplit(out_.text(), '\n', absl::SkipEmpty())) {
      lines.push_back(nlohmann::json::parse(std::string(line)));
    }
    return lines;
  }

  testing::CapturedLog out_{ops::MakeJsonFormatter()};
  RecentFailures recent_;
  RequestLog log_{absl::Seconds(1), &recent_};
};

TEST_F(RequestLogTest, ALineSaysWhereTheTimeWentAndHowToFindTheCall) {
  Log(Gone());
  ASSERT_THAT(Lines(), SizeIs(1));
  nlohmann::json line = Lines()[0];
  line.erase("time");
  EXPECT_EQ(line,
            (nlohmann::json{{"level", "warning"},
                            {"message", "a call failed"},
                            {"method", "GetProfile"},
                            {"code", "UNAVAILABLE"},
                            {"reason", "GONE"},
                            {"caller", "crm"},
                            {"duration_ms", 12.0},
                            {"queue_ms", 4.0},
                            {"database_ms", 6.0},
                            {"trace_id", "0af7651916cd43dd8448eb211c80319c"},
                            {"error", "no database"}}));
}

TEST_F(RequestLogTest, LevelsSayWhoseFaultItIs) {
  spdlog::default_logger()->set_level(spdlog::level::debug);
  const auto error = [](absl::StatusCode code) {
    return base::MakeError(code, "words", "REASON");
  };
  const std::pair<absl::Status, const char*> cases[] = {
      {absl::NotFoundError("the driver's words"), "error"},  // no reason
      {error(absl::StatusCode::kInternal), "error"},
      {error(absl::StatusCode::kUnknown), "error"},
      {error(absl::StatusCode::kUnavailable), "warning"},
      {error(absl::StatusCode::kResourceExhausted), "warning"},
      {error(absl::StatusCode::kDeadlineExceeded), "warning"},
      {error(absl::StatusCode::kInvalidArgument), "info"},
      {base::MakeError(absl::StatusCode::kUnauthenticated, "words",
                       "UNKNOWN_TOKEN"),
       "debug"},
      {base::MakeError(absl::StatusCode::kResourceExhausted, "words",
                       "TOO_MANY_ATTEMPTS"),
       "debug"},
      {error(absl::StatusCode::kNotFound), "debug"},
      {error(absl::StatusCode::kAlreadyExists), "debug"},
      {error(absl::StatusCode::kFailedPrecondition), "debug"},
      {error(absl::StatusCode::kCancelled), "debug"}};
  for (const auto& [status, level] : cases) {
    out_.Clear();
    Log(status);
    ASSERT_THAT(Lines(), SizeIs(1)) << status;
    EXPECT_EQ(Lines()[0]["level"], level) << status;
  }
}

TEST_F(RequestLogTest, AnswersOfTheTradeAreForDebuggingOnly) {
  Log(Unknown());
  EXPECT_THAT(Lines(), IsEmpty());
  EXPECT_THAT(recent_.List(), IsEmpty());
}

TEST_F(RequestLogTest, ACallThatWasSlowIsLoggedThoughItWentWell) {
  EXPECT_FALSE(log_.Concerns(absl::OkStatus(), absl::Milliseconds(999)));
  Log(absl::OkStatus(), absl::Seconds(1));
  ASSERT_THAT(Lines(), SizeIs(1));
  EXPECT_EQ(Lines()[0]["message"], "a call was slow");
  EXPECT_EQ(Lines()[0]["code"], "OK");
  EXPECT_FALSE(Lines()[0].contains("error"));
}

TEST_F(RequestLogTest, AFloodIsCutOffAndDoesNotSilenceOthers) {
  for (int i = 0; i < 1000; ++i) Log(Gone());
  EXPECT_LE(Lines().size(), 40u);
  const std::size_t before = Lines().size();
  Log(absl::InternalError("a defect"));
  Log(absl::OkStatus(), absl::Seconds(2));
  Log(base::MakeError(absl::StatusCode::kInvalidArgument, "wrong", "WRONG"));
  EXPECT_THAT(Lines(), SizeIs(before + 3));
}

TEST_F(RequestLogTest, TheStatusPageGetsTheSame) {
  Log(Gone());
  Log(base::MakeError(absl::StatusCode::kInvalidArgument, "wrong", "WRONG"));
  const std::vector<Failure> recent = recent_.List();
  ASSERT_THAT(recent, SizeIs(2));
  EXPECT_EQ(recent[0].reason, "WRONG");
  EXPECT_EQ(recent[1].reason, "GONE");
  EXPECT_EQ(recent[1].caller, "crm");
  EXPECT_EQ(recent[1].duration, absl::Milliseconds(12));
}

}  // namespace
}  // namespace userprofile::api
