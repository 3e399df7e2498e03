#include "client/adapter/delivery.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/adapter/testing.h"
#include "tests/support/http_server.h"
#include "userprofile/client/mock_profile_client.h"

namespace userprofile::adapter {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Return;

class DeliveryTest : public ::testing::Test {
 protected:
  DeliveryTest() {
    server_ = std::make_unique<userprofile::testing::HttpServer>(
        [this](const userprofile::testing::HttpRequest& request) {
          seen_.push_back(absl::StrCat(
              request.Header(kRecognizedHeader),
              request.Header(kProfileHeader).empty() ? "" : " profile"));
          return userprofile::testing::HttpResponse{status_, answer_};
        });
    delivery_ = std::make_unique<Delivery>(
        HttpUrl{absl::StrCat("http://", server_->address()), "/"},
        absl::Seconds(5), service_, metrics_);
  }

  absl::StatusOr<HttpAnswer> Deliver(const std::string& text) {
    return delivery_->Deliver(ReadUpdate(text, /*bot=*/""));
  }

  ::testing::StrictMock<client::MockProfileClient> service_;
  AdapterMetrics metrics_;
  std::unique_ptr<userprofile::testing::HttpServer> server_;
  std::unique_ptr<Delivery> delivery_;
  std::vector<std::string> seen_;
  int status_ = 200;
  std::string answer_ = "yes";
};

TEST_F(DeliveryTest, TheBotIsToldWhoItIs) {
  v1::UpsertUserResponse response;
  response.set_created(true);
  EXPECT_CALL(service_, UpsertUser(_)).WillOnce(Return(response));
  const auto answer = Deliver(MessageOf(7, 1));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "yes");
  EXPECT_THAT(seen_, ElementsAre("new profile"));
}

TEST_F(DeliveryTest, AProfileThatJsonCantHoldIsLeftOut) {
  v1::UpsertUserResponse response;
  response.mutable_profile()->mutable_created_at()->set_seconds(-1e12);
  EXPECT_CALL(service_, UpsertUser(_)).WillOnce(Return(response));
  EXPECT_TRUE(Deliver(MessageOf(7, 1)).ok());
  EXPECT_THAT(seen_, ElementsAre("returning"));
}

TEST_F(DeliveryTest, NobodysUpdateIsDeliveredWithoutACall) {
  EXPECT_TRUE(Deliver(R"({"update_id": 1, "poll": {}})").ok());
  EXPECT_THAT(seen_, ElementsAre("ignored"));
}

TEST_F(DeliveryTest, TheBotHearsNothingWhileTheServiceCantStoreTheContact) {
  EXPECT_CALL(service_, UpsertUser(_))
      .WillOnce(Return(absl::UnavailableError("away")));
  EXPECT_TRUE(absl::IsUnavailable(Deliver(MessageOf(7, 1)).status()));
  EXPECT_THAT(seen_, IsEmpty());
  EXPECT_EQ(metrics_.Failing(), "service: away");
}

TEST_F(DeliveryTest, AContactThatIsRefusedForGoodIsUnknownAndNeverNew) {
  EXPECT_CALL(service_, UpsertUser(_))
      .WillOnce(Return(absl::InvalidArgumentError("no")));
  EXPECT_TRUE(Deliver(MessageOf(7, 1)).ok());
  EXPECT_THAT(seen_, ElementsAre("unknown"));
  EXPECT_EQ(metrics_.Failing(), "");
}

TEST_F(DeliveryTest, ABotThatSaysItIsAwayIsAnError) {
  for (const int status : {429, 502, 503, 504}) {
    status_ = status;
    EXPECT_EQ(Deliver(R"({"update_id": 1, "poll": {}})").status().code(),
              status == 502 || status == 504
                  ? absl::StatusCode::kUnavailable
                  : absl::StatusCode::kResourceExhausted);
  }
  status_ = 500;
  EXPECT_EQ(Deliver(R"({"update_id": 1, "poll": {}})")->status, 500);
}

TEST_F(DeliveryTest, ABotThatIsNotThereOrTalksTooMuchIsAnError) {
  answer_ = std::string(2 * 1024 * 1024, 'x');
  EXPECT_TRUE(
      absl::IsOutOfRange(Deliver(R"({"update_id": 1, "poll": {}})").status()));
  server_.reset();
  const auto answer = Deliver(R"({"update_id": 1, "poll": {}})");
  EXPECT_TRUE(absl::IsUnavailable(answer.status())) << answer.status();
  EXPECT_THAT(metrics_.Failing(), HasSubstr("bot: the bot can't be reached"));
}

}  // namespace
}  // namespace userprofile::adapter
