#include "server/postgres/conninfo.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace userprofile::postgres {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
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

TEST(ConninfoTest, TakesHostsApart) {
  const auto hosts =
      HostsOf("postgresql://u:p%20w@a:1,b:2/d?target_session_attrs=read-write");
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  ASSERT_EQ(hosts->size(), 2);
  EXPECT_EQ((*hosts)[0].name, "a:1");
  EXPECT_EQ((*hosts)[1].name, "b:2");
  EXPECT_EQ((*hosts)[1].conninfo,
            "dbname='d' host='b' password='p w' port='2'"
            " target_session_attrs='any' user='u'");
}

TEST(ConninfoTest, GivesOnePortToAllHosts) {
  const auto hosts = HostsOf("host=a,/run/b hostaddr=::1, port=7 ");
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  ASSERT_EQ(hosts->size(), 2);
  EXPECT_EQ((*hosts)[0].name, "a:7");
  EXPECT_EQ((*hosts)[0].conninfo,
            "host='a' hostaddr='::1' port='7' target_session_attrs='any'");
  EXPECT_EQ((*hosts)[1].name, "/run/b:7");
}

TEST(ConninfoTest, RefusesListsOfHostsThatDoNotGoTogether) {
  for (const char* conninfo :
       {"host=a,b port=1,2,3", "host=a,b hostaddr=::1", "port=1,2"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(HostsOf(conninfo).status()))
        << conninfo;
  }
}

TEST(ConninfoTest, FindsOneHostWhereNoneIsNamed) {
  EXPECT_EQ(HostsOf("dbname=d")->size(), 1);
  EXPECT_EQ((*HostsOf("service=s"))[0].conninfo, "service=s");
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
        "postgresql://u@h/d?sekret=secret", "postgresql://u:%zzsecret@h/d",
        "postgresql://u:a/b?secret=x@h/d", "postgresql://u:a?secret&b@h/d?c=d",
        "postgresql+x://u:secret@h/d", "host=h password=my secret=x",
        "host=h password=a schema secret"}) {
    const absl::StatusOr<std::string> conninfo = WithDefaults(bad, {});
    EXPECT_EQ(conninfo.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(conninfo.status().message(), Not(HasSubstr("secret"))) << bad;
  }
}

TEST(ConninfoTest, SaysWhatOtherToolsWriteInAnotherWay) {
  const struct {
    const char* conninfo;
    const char* part;
    const char* instead;
  } cases[] = {
      {"postgresql+asyncpg://u:hush@h/d", "\"postgresql+asyncpg://\"",
       "write postgresql://"},
      {"postgres+psycopg2://u:hush@h/d?sslmode=require",
       "\"postgres+psycopg2://\"", "write postgresql://"},
      {"jdbc:postgresql://h/d?user=u&password=hush", "\"jdbc:postgresql://\"",
       "write postgresql://"},
      {"postgresql://u:hush@h/d?schema=app", "\"schema\"", "search_path"},
      {"postgresql://u:hush@h/d?currentSchema=app", "\"currentSchema\"",
       "search_path"},
      {"postgresql://u:hush@h/d?sslmode=require&pgbouncer=true",
       "\"pgbouncer\"", "leave it out"},
      {"postgres://u:hush@h/d?ssl=true&connection_limit=5",
       "\"connection_limit\"", "--read-connections"},
      {"postgresql://u:hush@h/d?ssl=no", "\"ssl\"", "sslmode"},
      {"postgresql://u:hush@h/d?conect_timeout=5", "\"conect_timeout\"", ""},
      {"host=h user=u password=hush pgbouncer=true", "\"pgbouncer\"",
       "leave it out"},
      {"host=h database=d", "\"database\"", "dbname="},
      {"postgresql://u:hush%@h/d", "%25", "postgresql://USER@HOST"},
      {"mysql://u:hush@h/d", "postgresql://", ""},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.conninfo);
    const absl::Status status = CheckConninfo(test.conninfo);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(test.part), HasSubstr(test.instead),
                      Not(HasSubstr("hush"))));
  }
}

TEST(ConninfoTest, AdvisesWhatLibpqCanRead) {
  EXPECT_TRUE(
      CheckConninfo("postgresql://h/d?options=-csearch_path%3DSCHEMA").ok());
  EXPECT_TRUE(CheckConninfo("host=h options='-csearch_path=SCHEMA'").ok());
}

TEST(ConninfoTest, ShowsNoPasswordToThoseWhoListProcesses) {
  setenv("PGPASSWORD", "older", 1);
  const auto program = ForProgram("postgresql://u:se'cret@h/d");
  unsetenv("PGPASSWORD");
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->conninfo,
            "connect_timeout='10' dbname='d' host='h' "
            "target_session_attrs='read-write' user='u'");
  EXPECT_THAT(program->environment, AllOf(Contains("PGPASSWORD=se'cret"),
                                          Not(Contains("PGPASSWORD=older"))));

  const auto no_way = ForProgram("host=h sslpassword=secret");
  EXPECT_EQ(no_way.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(no_way.status().message(), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace userprofile::postgres
