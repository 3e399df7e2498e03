#include "server/api/status.h"

#include "absl/strings/cord.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/api/testing.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(StatusTest, OkStaysOk) { EXPECT_TRUE(ToGrpcStatus({}).ok()); }

TEST(StatusTest, EveryCodeStaysWhatItIs) {
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status = ToGrpcStatus(base::MakeError(
        static_cast<absl::StatusCode>(code), "a sentence", "A_REASON"));
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), "a sentence");
    EXPECT_EQ(DetailsOf(status).code(), code);
    EXPECT_EQ(DetailsOf(status).message(), "a sentence");
    EXPECT_EQ(ReasonOf(status), "A_REASON");
  }
}

TEST(StatusTest, EveryDetailGoesOnTheWire) {
  google::rpc::BadRequest bad_request;
  bad_request.add_field_violations()->set_field("user_id");
  const grpc::Status status = ToGrpcStatus(base::WithRetryDelay(
      base::WithBadRequest(
          base::MakeError(absl::StatusCode::kResourceExhausted, "full",
                          "OVERLOADED", {{"lane", "upsert"}}),
          bad_request),
      absl::Milliseconds(1500)));
  EXPECT_EQ(DetailsOf(status).details_size(), 3);
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.domain(), "userprofile");
  EXPECT_EQ(info.metadata().at("lane"), "upsert");
  EXPECT_THAT(FieldsOf(status), ElementsAre("user_id"));
  const auto retry = DetailOf<google::rpc::RetryInfo>(status);
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500000000);
}

TEST(StatusTest, PayloadsForTheProcessItselfStayInIt) {
  absl::Status status =
      base::MakeError(absl::StatusCode::kInternal, "text", "INTERNAL");
  status.SetPayload("userprofile/sqlstate", absl::Cord("42703"));
  EXPECT_EQ(DetailsOf(ToGrpcStatus(status)).details_size(), 1);
  EXPECT_THAT(ToGrpcStatus(status).error_details(), Not(HasSubstr("42703")));
}

TEST(StatusTest, AnErrorWithoutAReasonTellsCallersNothing) {
  const absl::Status raw = absl::NotFoundError("column secret is missing");
  EXPECT_TRUE(IsHiddenFromCallers(raw));
  const grpc::Status status = ToGrpcStatus(raw);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(ReasonOf(status), "INTERNAL");
  EXPECT_THAT(status.error_message(), Not(HasSubstr("secret")));
  EXPECT_THAT(status.error_details(), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace userprofile::api
