#include "server/api/sealed_token.h"

#include <cstddef>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/api/testing.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;

const std::string kKey(32, 'k');
const std::string kContent("\x00\x01\xff go on from here", 19);

void ExpectInvalid(const absl::StatusOr<std::string>& opened) {
  EXPECT_TRUE(absl::IsInvalidArgument(opened.status())) << opened.status();
  EXPECT_EQ(base::ErrorReason(opened.status()), "INVALID_FIELDS");
  EXPECT_THAT(FieldsOf(opened.status()), ElementsAre("page_token"));
}

TEST(SealedTokenTest, OpensWhatItSealed) {
  for (const std::string& content : {kContent, std::string(), "a" + kContent}) {
    const std::string token = SealToken(kKey, "list", content);
    EXPECT_EQ(token.find_first_of("+/= "), std::string::npos) << token;
    EXPECT_EQ(OpenToken(kKey, "list", token, "page_token").value_or("none"),
              content);
  }
}

// What another program makes of the same: openssl dgst -sha256 -mac HMAC.
TEST(SealedTokenTest, IsAsAnyOtherServerMakesIt) {
  const std::string token = SealToken(kKey, "list", "42");
  std::string bytes;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(token, &bytes));
  EXPECT_EQ(absl::BytesToHexString(bytes),
            "3ec9d14194be8dfb7fb372b860bc5c068a4ea28a80824e6778914036da48aa9d"
            "3432");
}

TEST(SealedTokenTest, NoByteOfATokenCanBeAnother) {
  const std::string token = SealToken(kKey, "list", kContent);
  for (std::size_t at = 0; at < token.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string other = token;
      other[at] = static_cast<char>(byte);
      if (other == token) continue;
      ASSERT_FALSE(OpenToken(kKey, "list", other, "page_token").ok())
          << at << " " << byte;
    }
  }
}

TEST(SealedTokenTest, CannotBeCutOrExtended) {
  const std::string token = SealToken(kKey, "list", kContent);
  for (std::size_t length = 0; length < token.size(); ++length) {
    ExpectInvalid(
        OpenToken(kKey, "list", token.substr(0, length), "page_token"));
  }
  for (const std::string more :
       {"A", "AA", "AAA", "AAAA", "=", "==", " ", "\n", "!"}) {
    ExpectInvalid(OpenToken(kKey, "list", token + more, "page_token"));
  }
}

TEST(SealedTokenTest, ThoseOfOtherKeysAndPurposesAreWorthNothing) {
  const std::string token = SealToken(kKey, "list", kContent);
  ExpectInvalid(OpenToken(kKey, "watch", token, "page_token"));
  ExpectInvalid(OpenToken(std::string(32, 'l'), "list", token, "page_token"));
  // The content begins where the purpose ends, and nowhere else.
  const std::string bytes = [&] {
    std::string unsealed;
    absl::WebSafeBase64Unescape(SealToken(kKey, "list", "1"), &unsealed);
    return unsealed;
  }();
  ExpectInvalid(OpenToken(
      kKey, "lis",
      absl::WebSafeBase64Escape(bytes.substr(0, 32) + "t" + bytes.substr(32)),
      "page_token"));
}

TEST(SealedTokenTest, TheErrorHoldsNothingOfTheToken) {
  const auto opened = OpenToken(kKey, "list", "somebody", "page_token");
  EXPECT_EQ(opened.status().message(),
            "page_token must be as an earlier answer to the same request gave "
            "it");
}

}  // namespace
}  // namespace userprofile::api
