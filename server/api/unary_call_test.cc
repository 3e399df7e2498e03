#include "server/api/unary_call.h"

#include <string>
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {
namespace {

TEST(RpcMetricsTest, CountCallsByMethodAndCode) {
  ops::Metrics metrics;
  const RpcMetrics rpc(&metrics, "GetProfile");
  for (int i = 0; i < 3; ++i) rpc.CountStarted();
  rpc.CountFinished(absl::StatusCode::kNotFound, absl::Milliseconds(2));
  rpc.CountFinished(static_cast<absl::StatusCode>(99), absl::ZeroDuration());
  const std::string text = metrics.Text();
  for (const char* line :
       {"userprofile_rpc_requests_total{code=\"NOT_FOUND\",method="
        "\"GetProfile\"} 1\n",
        "userprofile_rpc_requests_total{code=\"OK\",method=\"GetProfile\"} "
        "0\n",
        "userprofile_rpc_requests_total{code=\"UNKNOWN\",method="
        "\"GetProfile\"} 1\n",
        "userprofile_rpc_in_flight{method=\"GetProfile\"} 1\n",
        "userprofile_rpc_duration_seconds_bucket{method=\"GetProfile\",le="
        "\"0.0025\"} 2\n"}) {
    EXPECT_THAT(text, ::testing::HasSubstr(line));
  }
}

TEST(DeadlineTest, IsTheSameTimeOnWhateverClock) {
  const gpr_timespec minute = gpr_time_from_seconds(60, GPR_TIMESPAN);
  for (const gpr_clock_type clock : {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
    const absl::Duration left =
        ToSteadyTime(gpr_time_add(gpr_now(clock), minute)) -
        base::SteadyTime::Now();
    EXPECT_GT(left, absl::Seconds(55));
    EXPECT_LT(left, absl::Seconds(65));
  }
}

// std::chrono's clock ends in the year 2262. Callers who ask for the longest
// time that their language knows (Go: 292 years) were answered at once that it
// has passed.
TEST(DeadlineTest, MayLieBeyondTheEndOfTheSystemsClock) {
  const base::SteadyTime later = base::SteadyTime::Now() + absl::Hours(24);
  for (const std::int64_t hours : {2562047, 99999999}) {
    const gpr_timespec wait = gpr_time_from_hours(hours, GPR_TIMESPAN);
    for (const gpr_clock_type clock :
         {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
      EXPECT_GT(ToSteadyTime(gpr_time_add(gpr_now(clock), wait)), later)
          << hours;
    }
  }
  EXPECT_GT(ToSteadyTime(gpr_inf_future(GPR_CLOCK_MONOTONIC)), later);
  EXPECT_LT(ToSteadyTime(gpr_inf_past(GPR_CLOCK_MONOTONIC)),
            base::SteadyTime::Now());
}

}  // namespace

namespace {

// In two slices, as it may come from a network.
grpc::ByteBuffer Buffer(const std::string& bytes) {
  const std::size_t half = bytes.size() / 2;
  const grpc::Slice slices[] = {grpc::Slice(bytes.substr(0, half)),
                                grpc::Slice(bytes.substr(half))};
  return grpc::ByteBuffer(slices, 2);
}

struct Parsed {
  absl::Status status;
  v1::UpsertUserRequest request;
};

Parsed Parse(const std::string& bytes) {
  Parsed parsed;
  parsed.status = ParseRequest(Buffer(bytes), &parsed.request);
  return parsed;
}

// user_id: 12345
const std::string kUserId = "\x08\xb9\x60";

TEST(RequestParserTest, ParsesAMessage) {
  v1::UpsertUserRequest request;
  request.set_user_id(12345);
  request.mutable_identity()->set_first_name("Test");
  const Parsed parsed = Parse(request.SerializeAsString());
  EXPECT_TRUE(parsed.status.ok());
  EXPECT_EQ(parsed.request.SerializeAsString(), request.SerializeAsString());
}

TEST(RequestParserTest, NoBytesAreAnEmptyMessage) {
  EXPECT_TRUE(Parse("").status.ok());
  v1::UpsertUserRequest request;
  EXPECT_TRUE(ParseRequest(Buffer(std::string()), &request).ok());
}

TEST(RequestParserTest, RefusesBytesThatAreNoMessage) {
  for (const char* bytes : {
           "hello",                     // no tag that makes sense
           "\x08",                      // a number is missing
           "\x12\x7f",                  // a length beyond the end
           "\x12\x02\x0a\x7f",          // the same, one message deeper
           "\x12\x04\x0a\x02\xff",      // a text that is cut off
           "\x12\x04\x0a\x02\xff\xfe",  // text that is not UTF-8
       }) {
    const Parsed parsed = Parse(bytes);
    EXPECT_EQ(parsed.status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(base::ErrorReason(parsed.status), "MALFORMED_REQUEST");
  }
}

TEST(RequestParserTest, BytesOfUnknownFieldsNeedNotBeUtf8) {
  const Parsed parsed = Parse(kUserId + "\xa2\x06\x02\xff\xfe");
  EXPECT_TRUE(parsed.status.ok());
}

TEST(RequestParserTest, KeepsNothingOfUnknownFields) {
  std::string bytes = kUserId;
  for (int i = 0; i < 30000; ++i) bytes += std::string("\x78\0", 2);
  const Parsed parsed = Parse(bytes);
  ASSERT_TRUE(parsed.status.ok());
  EXPECT_EQ(parsed.request.user_id(), 12345);
  EXPECT_LT(parsed.request.SpaceUsedLong(), 1000);
}

}  // namespace

}  // namespace userprofile::api
