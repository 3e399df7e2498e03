#include "server/app/status_page.h"

#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/api/method.h"
#include "server/store/lane_metrics.h"

namespace userprofile::app {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class StatusPageTest : public ::testing::Test {
 protected:
  json Status() { return json::parse(page_.Json()); }

  void Count(const char* metric, const char* outcome) {
    ops::Counter(&metrics_, metric, "", {{"outcome", outcome}}).Increment();
  }

  ops::Metrics metrics_;
  ops::Readiness readiness_;
  api::RecentFailures failures_{2};
  StatusPage page_{"1.2.3", metrics_, readiness_, failures_};
};

TEST_F(StatusPageTest, SaysWhetherItIsReadyAndWhyNot) {
  EXPECT_EQ(Status()["version"], "1.2.3");
  EXPECT_EQ(Status()["state"], "STARTING");
  readiness_.Set(base::MakeError(absl::StatusCode::kUnavailable,
                                 "users.first_name is missing",
                                 "SCHEMA_NOT_READY"));
  EXPECT_EQ(Status()["ready"], false);
  EXPECT_EQ(Status()["state"], "SCHEMA_NOT_READY");
  EXPECT_EQ(Status()["why"], "users.first_name is missing");
  readiness_.Set(absl::OkStatus());
  EXPECT_EQ(Status()["ready"], true);
  EXPECT_EQ(Status()["state"], "READY");
}

TEST_F(StatusPageTest, ShowsWhoWasRecognized) {
  Count("userprofile_recognitions_total", "created");
  Count("userprofile_recognitions_total", "onboarded");
  Count("userprofile_recognitions_total", "onboarded");
  Count("userprofile_onboardings_total", "completed");
  EXPECT_EQ(Status()["contacts"],
            (json{{"created", 1.0}, {"returning", 0.0}, {"onboarded", 2.0}}));
  EXPECT_EQ(Status()["onboardings"],
            (json{{"completed", 1.0}, {"repeated", 0.0}}));
}

TEST_F(StatusPageTest, ShowsWhatTheInspectionFound) {
  EXPECT_TRUE(Status()["schema"].is_null());
  page_.SetSchema(R"({"holds": [], "breaches": [{"object": "users"}]})");
  EXPECT_THAT(Status()["schema"]["breaches"], SizeIs(1));
}

TEST_F(StatusPageTest, ShowsTheNewestFailuresOnly) {
  for (const char* reason : {"FIRST", "SECOND", "THIRD"}) {
    failures_.Add({absl::Now(), "GetProfile", "UNAVAILABLE", reason, "crm",
                   "0af7", absl::Milliseconds(5)});
  }
  const json failures = Status()["failures"];
  ASSERT_THAT(failures, SizeIs(2));
  EXPECT_EQ(failures[0]["reason"], "THIRD");
  EXPECT_EQ(failures[1]["reason"], "SECOND");
  EXPECT_EQ(failures[0]["duration_ms"], 5.0);
}

TEST_F(StatusPageTest, ShowsTrafficBySeriesOfEqualLength) {
  const absl::Time limit = absl::Now() + absl::Seconds(30);
  const api::RpcMetrics rpc(&metrics_, "GetProfile");
  while (Status()["all"]["calls"] == 0.0 && absl::Now() < limit) {
    rpc.CountStarted();
    rpc.CountFinished(absl::StatusCode::kOk, absl::Milliseconds(3));
    store::LaneMetrics(&metrics_, "get_profile").ObserveBatch(2);
    absl::SleepFor(absl::Milliseconds(10));
  }
  const json status = Status();
  EXPECT_GT(status["methods"][0]["calls"], 0.0);
  EXPECT_EQ(status["methods"][0]["name"], "GetProfile");
  EXPECT_EQ(status["batch"]["get_profile"], 2.0);
  const json& history = status["history"];
  EXPECT_GE(history["times"].size(), 1u);
  for (const json* line :
       {&history["p50_ms"], &history["p99_ms"], &history["calls"]["GetProfile"],
        &history["batch"]["get_profile"]}) {
    EXPECT_EQ(line->size(), history["times"].size());
  }
}

TEST_F(StatusPageTest, ThePageIsOneDocumentThatLoadsNothingFromElsewhere) {
  const auto pages = page_.Pages();
  ASSERT_THAT(pages, SizeIs(2));
  EXPECT_EQ(pages[0].path, "/");
  const std::string html = pages[0].content();
  EXPECT_THAT(html, HasSubstr("--paper"));         // the style is in it
  EXPECT_THAT(html, HasSubstr("fetch('/status"));  // and the script
  for (const char* elsewhere : {"src=", "@import", "url(", "innerHTML",
                                "https://", "/*STYLE*/", "/*SCRIPT*/"}) {
    EXPECT_THAT(html, Not(HasSubstr(elsewhere)));
  }
  const std::string& policy = pages[0].content_security_policy;
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("script-src 'sha256-"));
  EXPECT_THAT(policy, HasSubstr("style-src 'sha256-"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(pages[1].path, "/status.json");
  EXPECT_TRUE(json::accept(pages[1].content()));
}

}  // namespace
}  // namespace userprofile::app
