#include "ops/logging.h"

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "spdlog/logger.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace userprofile::ops {
namespace {

using ::testing::HasSubstr;

std::string LogAsJson(const std::string& message) {
  std::ostringstream out;
  spdlog::logger logger("test",
                        std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(MakeJsonFormatter());
  logger.warn("{}", message);
  return out.str();
}

TEST(LoggingTest, AJsonLineHoldsTimeLevelAndMessage) {
  const auto line = nlohmann::json::parse(LogAsJson("the message"));
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["message"], "the message");
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full,
                              line["time"].get<std::string>(), &time, &error))
      << error;
}

TEST(LoggingTest, AJsonLineIsValidWhateverTheMessageHolds) {
  const std::string messages[] = {"\"quoted\" and \\ and {}",
                                  "two\nlines\r\n",
                                  std::string("NUL \0 inside", 12),
                                  "\xff\xfe not UTF-8",
                                  "\x01\x1b[31m",
                                  ""};
  for (const std::string& message : messages) {
    const std::string line = LogAsJson(message);
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  }
}

std::string LogFields(std::unique_ptr<spdlog::formatter> formatter,
                      absl::Span<const LogField> fields) {
  std::ostringstream out;
  const auto before = spdlog::default_logger();
  auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
  Log(spdlog::level::warn, "with {} fields", fields);
  spdlog::warn("without");
  spdlog::set_default_logger(before);
  return out.str();
}

const LogField kFields[] = {{"word", "a-b.c"},
                            {"words", "two \"words\"\n"},
                            {"none", ""},
                            {"number", 1.5},
                            {"count", std::int64_t{7}}};

TEST(LoggingTest, FieldsFollowTheMessageInText) {
  const std::string text = LogFields(MakeTextFormatter(), kFields);
  EXPECT_THAT(text, HasSubstr("warning with {} fields word=a-b.c "
                              "words=\"two \\\"words\\\"\\n\" "
                              "number=1.500 count=7\n"));
  EXPECT_THAT(text, HasSubstr("without\n"));
}

TEST(LoggingTest, ATextIsOneLineWhateverTheMessageHolds) {
  std::ostringstream out;
  spdlog::logger logger("test",
                        std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(MakeTextFormatter());
  logger.warn("{}", "one\r\n2026-01-01 error\tforged\x1b[31m");
  EXPECT_THAT(out.str(), HasSubstr("one  2026-01-01 error forged [31m\n"));
}

TEST(LoggingTest, FieldsAreMembersInJson) {
  const std::vector<std::string> lines =
      absl::StrSplit(LogFields(MakeJsonFormatter(), kFields), '\n');
  const auto line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["message"], "with {} fields");
  EXPECT_EQ(line["words"], "two \"words\"\n");
  EXPECT_EQ(line["none"], "");
  EXPECT_EQ(line["number"], 1.5);
  EXPECT_EQ(line["count"], 7);
  EXPECT_EQ(nlohmann::json::parse(lines[1]).size(), 3u);
}

// Logging belongs to the whole process: set up in a process of its own.
[[noreturn]] void LogAndExit(const LoggingOptions& options) {
  if (!SetUpLogging(options).ok()) std::exit(1);
  spdlog::debug("below");
  spdlog::info("at the level");
  std::exit(0);
}

TEST(LoggingDeathTest, WritesLinesForPeopleToStderr) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogAndExit({"text", "info"}), testing::ExitedWithCode(0),
              "^[-0-9]+T[:.0-9]+Z info +at the level\n$");
}

TEST(LoggingDeathTest, WritesJsonToStderr) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(LogAndExit({"json", "info"}), testing::ExitedWithCode(0),
              "^\\{\"time\":.*\"message\":\"at the level\"\\}\n$");
}

[[noreturn]] void ParseInvalidTextAndExit() {
  if (!SetUpLogging({}).ok()) std::exit(1);
  google::rpc::ErrorInfo message;
  std::exit(message.ParseFromString("\x0a\x01\xff") ? 1 : 0);
}

TEST(LoggingDeathTest, TextOfCallersThatIsNotUtf8LeavesNoLine) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ParseInvalidTextAndExit(), testing::ExitedWithCode(0), "^$");
}

TEST(LoggingTest, RefusesAFormatThatDoesNotExist) {
  const absl::Status status = SetUpLogging({"xml", "info"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("xml"));
}

TEST(LoggingTest, RefusesALevelThatDoesNotExist) {
  for (const char* level : {"loud", "", "off"}) {
    EXPECT_EQ(SetUpLogging({"text", level}).code(),
              absl::StatusCode::kInvalidArgument)
        << level;
  }
}

TEST(LogLimiterTest, AdmitsABurstPerIntervalAndCountsTheRest) {
  auto now = base::SteadyTime::Now();
  LogLimiter limiter(2, absl::Seconds(1), [&] { return now; });
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
  now = now + absl::Milliseconds(999);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
  now = now + absl::Milliseconds(1);
  EXPECT_EQ(limiter.Admit(), 2);
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
}

}  // namespace
}  // namespace userprofile::ops
