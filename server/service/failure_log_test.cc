#include "server/service/failure_log.h"

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace userprofile::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FailureLogTest : public ::testing::Test {
 protected:
  FailureLogTest() {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out_));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(std::move(logger));
  }
  ~FailureLogTest() override { spdlog::set_default_logger(before_); }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream out_;
  FailureLog log_;
};

TEST_F(FailureLogTest, ADefectIsAnErrorWithAllThatIsKnown) {
  log_.Log("UpsertUser", absl::NotFoundError("the driver's words"));
  EXPECT_THAT(out_.str(), HasSubstr("error UpsertUser failed: NOT_FOUND"));
  EXPECT_THAT(out_.str(), HasSubstr("the driver's words"));
}

TEST_F(FailureLogTest, WhatTheDatabaseCausedIsAWarning) {
  log_.Log("GetProfile", base::MakeError(absl::StatusCode::kUnavailable,
                                         "no database", "GONE"));
  EXPECT_EQ(out_.str(),
            "warning GetProfile failed: UNAVAILABLE GONE: no database\n");
}

TEST_F(FailureLogTest, WhatTheCallerCausedIsForDebugging) {
  const absl::Status status =
      base::MakeError(absl::StatusCode::kNotFound, "none", "USER_NOT_FOUND");
  log_.Log("GetProfile", status);
  EXPECT_THAT(out_.str(), IsEmpty());
  spdlog::default_logger()->set_level(spdlog::level::debug);
  log_.Log("GetProfile", status);
  EXPECT_THAT(out_.str(), HasSubstr("debug GetProfile failed: NOT_FOUND"));
}

TEST_F(FailureLogTest, AFloodIsCutOffAndDoesNotSilenceWorse) {
  for (int i = 0; i < 1000; ++i) {
    log_.Log("GetProfile", base::MakeError(absl::StatusCode::kUnavailable,
                                           "no database", "GONE"));
  }
  log_.Log("GetProfile", absl::InternalError("a defect"));
  const std::string text = out_.str();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 41);
  EXPECT_THAT(text, HasSubstr("a defect"));
}

}  // namespace
}  // namespace userprofile::service
