#include "server/postgres/conninfo.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ConninfoTest, AddsWhatIsMissing) {
  EXPECT_EQ(*WithDefaults("host=db", {{"connect_timeout", "2"}}),
            "connect_timeout='2' host='db'");
}

TEST(ConninfoTest, KeepsWhatIsThere) {
  EXPECT_EQ(*WithDefaults("postgresql://db/?connect_timeout=9",
                          {{"connect_timeout", "2"}}),
            "connect_timeout='9' host='db'");
}

TEST(ConninfoTest, IsNotMisledByWhatOnlyLooksLikeASetting) {
  EXPECT_EQ(*WithDefaults("host=db password='connect_timeout=1'",
                          {{"connect_timeout", "2"}}),
            "connect_timeout='2' host='db' password='connect_timeout=1'");
}

TEST(ConninfoTest, ReadsUrlsWithSeveralHosts) {
  EXPECT_EQ(*WithDefaults("postgresql://u@a:1,b:2/d", {}),
            "dbname='d' host='a,b' port='1,2' user='u'");
}

TEST(ConninfoTest, KeepsEveryCharacterOfAPassword) {
  EXPECT_EQ(*WithDefaults("postgresql://u:p?a%27%5C%20&b@h/d", {}),
            R"(dbname='d' host='h' password='p?a\'\\ &b' user='u')");
  EXPECT_EQ(*WithDefaults(R"(password='a\'\\ b')", {}),
            R"(password='a\'\\ b')");
}

TEST(ConninfoTest, NeverShowsWhatItCannotRead) {
  for (const char* bad :
       {"secret", "password='secret", "host=h secret",
        "postgresql://u@h/d?secret=secret", "postgresql://u:%zzsecret@h/d"}) {
    const absl::StatusOr<std::string> conninfo = WithDefaults(bad, {});
    EXPECT_EQ(conninfo.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(conninfo.status().message(), Not(HasSubstr("secret"))) << bad;
  }
}

TEST(ConninfoTest, ShowsNoPasswordToThoseWhoListProcesses) {
  setenv("PGPASSWORD", "older", 1);
  const auto program = ForProgram("postgresql://u:se'cret@h/d");
  unsetenv("PGPASSWORD");
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->conninfo,
            "connect_timeout='10' dbname='d' host='h' "
            "target_session_attrs='read-write' user='u'");
  EXPECT_EQ(program->environment.front(), "PGPASSWORD=se'cret");

  const auto no_way = ForProgram("host=h sslpassword=secret");
  EXPECT_EQ(no_way.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(no_way.status().message(), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace userprofile::postgres
