#include "server/api/request_parser.h"

#include <string>

#include "base/error_info.h"
#include "gtest/gtest.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {
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
