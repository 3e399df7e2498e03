#include "server/access/callers.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/access.h"

namespace userprofile::access {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Hash(absl::string_view token) { return ToHex(HashOf(token)); }

TEST(CallersTest, FindsACallerByEachOfItsTokensAndNames) {
  const auto callers = Callers::Parse(absl::StrCat(
      R"({"callers": [
        {"name": "shop-bot", "roles": ["bot"],
         "token_sha256": [")",
      Hash("old"), R"(", ")", Hash("new"), R"("]},
        {"name": "crm", "roles": ["reader", "admin"],
         "certificate_sans": ["DNS:crm.example", "URI:spiffe://e/crm"]}
      ]})"));
  ASSERT_TRUE(callers.ok()) << callers.status();
  EXPECT_EQ(callers->size(), 2U);
  for (const char* token : {"old", "new"}) {
    const auto caller = callers->FindByToken(token);
    ASSERT_NE(caller, nullptr);
    EXPECT_EQ(caller->name, "shop-bot");
    EXPECT_TRUE(caller->roles.Has(v1::ROLE_BOT));
    EXPECT_FALSE(caller->roles.HasAnyOf({v1::ROLE_READER, v1::ROLE_ADMIN}));
  }
  for (const char* san : {"DNS:crm.example", "URI:spiffe://e/crm"}) {
    const auto caller = callers->FindBySan(san);
    ASSERT_NE(caller, nullptr);
    EXPECT_EQ(caller->name, "crm");
    EXPECT_FALSE(caller->roles.Has(v1::ROLE_BOT));
  }
  for (const char* token : {"", "ol", "old ", "crm"}) {
    EXPECT_EQ(callers->FindByToken(token), nullptr) << token;
  }
  EXPECT_EQ(callers->FindByToken(Hash("old")), nullptr);
  for (const char* san : {"", "crm.example", "DNS:CRM.example",
                          "URI:crm.example", "DNS:x.crm.example"}) {
    EXPECT_EQ(callers->FindBySan(san), nullptr) << san;
  }
}

TEST(CallersTest, OnlyAReaderCanBeWithoutPersonalData) {
  struct {
    const char* rest;
    bool pii;
  } constexpr kCases[] = {
      {R"("roles": ["reader"])", false},
      {R"("roles": ["reader"], "pii": false)", false},
      {R"("roles": ["reader"], "pii": true)", true},
      {R"("roles": ["bot"])", true},
      {R"("roles": ["admin"], "pii": true)", true},
      {R"("roles": ["reader", "bot"])", true},
  };
  for (const auto& test : kCases) {
    const auto callers = Callers::Parse(absl::StrCat(
        R"({"callers": [{"name": "a", "certificate_sans": ["DNS:a"], )",
        test.rest, "}]}"));
    ASSERT_TRUE(callers.ok()) << callers.status();
    EXPECT_EQ(callers->FindBySan("DNS:a")->pii, test.pii) << test.rest;
  }
}

TEST(CallersTest, NobodyAndCallersWithoutAWayInAreFine) {
  EXPECT_TRUE(Callers::Parse(R"({"callers": []})").ok());
  EXPECT_TRUE(
      Callers::Parse(
          R"({"callers": [{"name": "a", "roles": ["bot"], "token_sha256": []}]})")
          .ok());
}

TEST(CallersTest, RefusesWhatItDoesNotUnderstandAndSaysWhatIsAllowed) {
  const std::string hash = Hash("token");
  struct {
    std::string json;
    const char* says;
  } const cases[] = {
      {"", "not JSON"},
      {R"({"callers": [})", "near byte 14"},
      {"{\"callers\": [{\"name\": \"\xff\"}]}", "not JSON"},
      {"[]", "the file is not an object"},
      {"{}", "no list \"callers\""},
      {R"({"callers": {}})", "no list \"callers\""},
      {R"({"callers": [], "caller": []})", "it has callers"},
      {R"({"callers": [], "callers": []})", "\"callers\" twice"},
      {R"({"callers": [7]})", "callers[0] is not an object"},
      {R"({"callers": [{"roles": ["bot"]}]})", "callers[0].name"},
      {R"({"callers": [{"name": 7, "roles": ["bot"]}]})", "callers[0].name"},
      {R"({"callers": [{"name": "A", "roles": ["bot"]}]})", "callers[0].name"},
      {absl::StrCat(R"({"callers": [{"name": ")", std::string(64, 'a'),
                    R"(", "roles": ["bot"]}]})"),
       "1 to 63"},
      {R"({"callers": [{"name": "a\u0000", "roles": ["bot"]}]})", "1 to 63"},
      {R"({"callers": [{"name": "anonymous", "roles": ["bot"]}]})",
       "anonymous"},
      {R"({"callers": [{"name": "a"}]})", "callers[0].roles: at least one"},
      {R"({"callers": [{"name": "a", "roles": "bot"}]})", "list of strings"},
      {R"({"callers": [{"name": "a", "roles": [1]}]})", "list of strings"},
      {R"({"callers": [{"name": "a", "roles": ["root"]}]})",
       "roles are bot, reader and admin"},
      {R"({"callers": [{"name": "a", "roles": ["bot"], "pii": 1}]})",
       "neither true nor false"},
      {R"({"callers": [{"name": "a", "roles": ["bot"], "pii": false}]})",
       "callers[0].pii: bots and admins get personal data"},
      {R"({"callers": [{"name": "a", "roles": ["reader", "admin"],
                        "pii": false}]})",
       "the role reader alone"},
      {R"({"callers": [{"name": "a", "role": "bot"}]})",
       "it has name, roles, pii, token_sha256, certificate_sans"},
      {R"({"callers": [{"name": "a", "name": "b", "roles": ["bot"]}]})",
       "\"name\" twice"},
      {R"({"callers": [{"name": "a", "roles": ["bot"]},
                       {"name": "a", "roles": ["bot"]}]})",
       "two callers \"a\""},
      {absl::StrReplaceAll(
           R"({"callers": [{"name": "a", "roles": ["bot"],
                            "token_sha256": ["H"]},
                           {"name": "b", "roles": ["bot"],
                            "token_sha256": ["H"]}]})",
           {{"H", hash}}),
       "\"a\" has the same token"},
      {absl::StrCat(R"({"callers": [{"name": "a", "roles": ["bot"],
                        "token_sha256": [")",
                    Hash(""), R"("]}]})"),
       "the hash of nothing"},
      {R"({"callers": [{"name": "a", "roles": ["bot"],
                        "certificate_sans": ["a.example"]}]})",
       "DNS: or URI:"},
      {R"({"callers": [{"name": "a", "roles": ["bot"],
                        "certificate_sans": ["DNS:"]}]})",
       "DNS: or URI:"},
      {R"({"callers": [{"name": "a", "roles": ["bot"],
                        "certificate_sans": ["DNS:x", "DNS:x"]}]})",
       "\"a\" has DNS:x too"},
  };
  for (const auto& test : cases) {
    const absl::Status status = Callers::Parse(test.json).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << test.json;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.says))
        << test.json;
  }
}

TEST(CallersTest, ATokenThatStandsWhereItsHashBelongsIsNotShown) {
  const std::string token = NewToken();
  const absl::Status status =
      Callers::Parse(
          absl::StrCat(
              R"({"callers": [{"name": "a", "roles": ["bot"], "token_sha256": [")",
              token, R"("]}]})"))
          .status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("token create"), Not(HasSubstr(token))));
}

TEST(IdentifyTest, TakesABearerTokenAndNothingElse) {
  const auto callers = Callers::Parse(
      absl::StrCat(R"({"callers": [{"name": "a", "roles": ["bot"],
                       "token_sha256": [")",
                   Hash("up_x"), R"("]}]})"));
  ASSERT_TRUE(callers.ok()) << callers.status();
  for (const char* right : {"Bearer up_x", "bearer up_x", "BEARER up_x"}) {
    EXPECT_TRUE(Identify(*callers, {{right}, {}}).ok()) << right;
  }
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "up_x", "Basic up_x", "Bearer  up_x",
        "Bearer up_x ", "Bearer up_X", "Bearer up_x, Bearer up_x"}) {
    const absl::Status status = Identify(*callers, {{wrong}, {}}).status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << wrong;
  }
  EXPECT_TRUE(absl::IsUnauthenticated(
      Identify(*callers, {{"Bearer up_x", "Bearer up_x"}, {}}).status()));
}

}  // namespace
}  // namespace userprofile::access
