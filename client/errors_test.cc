#include "userprofile/client/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace userprofile::client {
namespace {

grpc::Status NotFoundWithDetails() {
  google::rpc::ErrorInfo info;
  info.set_reason("USER_NOT_FOUND");
  info.set_domain("userprofile");
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(3);
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  details.add_details()->PackFrom(retry);
  return grpc::Status(grpc::StatusCode::NOT_FOUND, "no user 7",
                      details.SerializeAsString());
}

TEST(ErrorsTest, KeepCodeAndMessage) {
  const absl::Status status = FromGrpcStatus(NotFoundWithDetails());
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no user 7");
}

TEST(ErrorsTest, GiveTheReason) {
  EXPECT_EQ(Reason(FromGrpcStatus(NotFoundWithDetails())), "USER_NOT_FOUND");
}

TEST(ErrorsTest, KeepEveryDetailUnderItsTypeUrl) {
  const absl::Status status = FromGrpcStatus(NotFoundWithDetails());
  const auto payload =
      status.GetPayload("type.googleapis.com/google.rpc.RetryInfo");
  ASSERT_TRUE(payload.has_value());
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(retry.ParseFromString(std::string(*payload)));
  EXPECT_EQ(retry.retry_delay().seconds(), 3);
}

TEST(ErrorsTest, WithoutDetailsHaveNoReason) {
  EXPECT_EQ(Reason(FromGrpcStatus(
                grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"))),
            "");
  EXPECT_EQ(Reason(absl::OkStatus()), "");
}

TEST(ErrorsTest, WithMalformedDetailsKeepTheCode) {
  const absl::Status status = FromGrpcStatus(
      grpc::Status(grpc::StatusCode::INTERNAL, "broken", "\xff\xff\xff"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Reason(status), "");
}

TEST(ErrorsTest, OkIsOk) { EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok()); }

}  // namespace
}  // namespace userprofile::client
