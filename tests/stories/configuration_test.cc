// Flags, environment, file: what wins, what is refused, and what is shown.

#include <sys/stat.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

void Write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

TEST(ConfigurationTest, PrintsWhatCountsAndWhereItComesFrom) {
  TempDir directory;
  const std::string file = directory / "config.toml";
  Write(file, "max-batch = 7\nmax-in-flight = 8\nread-connections = 9\n");
  const Outcome outcome =
      RunProgram({{"userprofile-server", "config", "print", "--config", file,
                   "--max-batch", "1", "--output", "json"},
                  {{"USERPROFILE_MAX_BATCH", "2"},
                   {"USERPROFILE_MAX_IN_FLIGHT", "3"},
                   {"USERPROFILE_MAX_BACH", "4"},
                   {"USERPROFILE_PORT_50051_TCP", "tcp://10.0.0.1:50051"}}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  const auto settings = nlohmann::json::parse(outcome.output);
  const auto expect = [&](const char* key, const char* value,
                          const char* source) {
    EXPECT_EQ(settings[key]["value"], value) << key;
    EXPECT_EQ(settings[key]["source"], source) << key;
  };
  expect("max-batch", "1", "flag");
  expect("max-in-flight", "3", "environment");
  expect("read-connections", "9", "file");
  expect("upsert-connections", "2", "default");
  expect("migrate", "false", "default");
  EXPECT_THAT(outcome.errors, AllOf(HasSubstr("USERPROFILE_MAX_BACH is set"),
                                    Not(HasSubstr("USERPROFILE_PORT"))));
}

TEST(ConfigurationTest, PrintsAFileThatMeansTheSame) {
  TempDir directory;
  const std::string file = directory / "config.toml";
  const Outcome first =
      RunProgram({{"userprofile-server", "config", "print", "--max-timeout",
                   "1m30s", "--insecure", "--database=embedded:/a \"b\""}});
  EXPECT_EQ(first.exit_code, 0) << first.errors;
  Write(file, first.output);
  const Outcome second =
      RunProgram({{"userprofile-server", "config", "print", "--config", file}});
  EXPECT_EQ(second.exit_code, 0) << second.errors;
  EXPECT_THAT(first.output, HasSubstr("'embedded:/a \"b\"'"));
  EXPECT_EQ(absl::StrReplaceAll(first.output, {{"# flag", "# file"}}),
            second.output);
}

TEST(ConfigurationTest, IsDescribedInTheHandbook) {
  std::ifstream file(USERPROFILE_SOURCE_DIR "/docs/operations.md");
  const std::string handbook((std::istreambuf_iterator<char>(file)), {});
  const Outcome outcome = RunProgram(
      {{"userprofile-server", "config", "print", "--output", "json"}});
  const auto settings = nlohmann::json::parse(outcome.output);
  EXPECT_GT(settings.size(), 20u);
  for (const auto& [key, setting] : settings.items()) {
    EXPECT_THAT(handbook, HasSubstr("`--" + key + "`"));
  }
}

TEST(ConfigurationTest, MasksPasswords) {
  for (const char* database :
       {"postgresql://bot:hush-hush@db/users", "host=db password=hush-hush",
        "hush-hush", "postgresql://bot:hush-hush@db:port:/"}) {
    const Outcome outcome = RunProgram(
        {{"userprofile-server", "config", "print", "--database", database}});
    EXPECT_THAT(outcome.output, HasSubstr("****")) << database;
    EXPECT_THAT(outcome.output + outcome.errors, Not(HasSubstr("hush-hush")));
  }
}

TEST(ConfigurationTest, SaysWhatIsAllowed) {
  TempDir directory;
  const std::string file = directory / "config.toml";
  Write(file, "lisen = \"127.0.0.1:1\"\n");
  Outcome outcome =
      RunProgram({{"userprofile-server", "serve", "--config", file}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, AllOf(HasSubstr("\"lisen\""), HasSubstr("listen"),
                                    HasSubstr("max-batch")));
  Write(file, "max-timeout = \"soon\"\n");
  outcome = RunProgram({{"userprofile-server", "serve", "--config", file}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, AllOf(HasSubstr("soon"), HasSubstr("1m30s")));
  outcome = RunProgram(
      {{"userprofile-server", "serve"}, {{"USERPROFILE_LOG_FORMAT", "xml"}}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, AllOf(HasSubstr("text"), HasSubstr("json")));
}

TEST(ConfigurationTest, SaysWhatIsOutOfRangeToThoseWhomItConcerns) {
  TempDir directory;
  const std::string file = directory / "config.toml";
  for (const auto& [key, value, says] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"max-batch", "0", "whole number of at least 1"},
           {"read-connections", "0x0", "whole number of at least 1"},
           {"max-timeout", "-1s", "-1s is not at least 1ms"},
           {"contact-interval", "25h", "25h is not at most 24h"}}) {
    SCOPED_TRACE(key);
    Write(file, absl::StrCat(key, " = \"", value, "\"\n"));
    const std::string variable = absl::StrCat(
        "USERPROFILE_",
        absl::AsciiStrToUpper(absl::StrReplaceAll(key, {{"-", "_"}})));
    for (const Program::Options& given : std::vector<Program::Options>{
             {{"--config", file}, {}}, {{}, {{variable, value}}}}) {
      const auto run = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "userprofile-server");
        words.insert(words.end(), given.words.begin(), given.words.end());
        return RunProgram({words, given.environment});
      };
      EXPECT_EQ(run({"version"}).exit_code, 0);
      Outcome outcome = run({"serve"});
      EXPECT_EQ(outcome.exit_code, 2);
      EXPECT_THAT(outcome.errors, HasSubstr(says));
      outcome = run({"config", "print"});
      EXPECT_EQ(outcome.exit_code, 2);
      EXPECT_THAT(outcome.errors, HasSubstr(says));
      EXPECT_THAT(outcome.output,
                  HasSubstr(absl::StrCat(
                      key, " = \"", value, "\"  # ",
                      given.words.empty() ? "environment" : "file")));
    }
  }
}

TEST(ConfigurationTest, AnEmptyValueIsNotTakenForNone) {
  TempDir directory;
  const std::string file = directory / "config.toml";
  const auto expect_refused = [](const std::vector<std::string>& flags,
                                 std::map<std::string, std::string> environment,
                                 const std::string& says) {
    std::vector<std::string> words = {"userprofile-server", "config", "print"};
    words.insert(words.end(), flags.begin(), flags.end());
    const Outcome outcome = RunProgram({words, std::move(environment)});
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_THAT(outcome.errors, HasSubstr(says));
  };
  for (const char* key :
       {"callers", "tls-cert", "tls-key", "tls-client-ca", "database",
        "database-file", "listen", "log-format", "insecure", "config"}) {
    SCOPED_TRACE(key);
    const std::string variable = absl::StrCat(
        "USERPROFILE_",
        absl::AsciiStrToUpper(absl::StrReplaceAll(key, {{"-", "_"}})));
    expect_refused({}, {{variable, ""}}, variable + ": is empty");
    if (key == std::string("config")) continue;
    Write(file, absl::StrCat(key, " = \"\"\n"));
    expect_refused({"--config", file}, {}, absl::StrCat("key \"", key, "\""));
    const std::string flag = absl::StrCat("--", key);
    expect_refused({flag + "="}, {}, flag + ": is empty");
    expect_refused({flag + "=", "--migrate"}, {}, flag + ": is empty");
    if (key == std::string("insecure")) continue;  // takes no value
    expect_refused({flag, ""}, {}, flag);
  }
  // What wins over an empty variable makes up for it.
  const Outcome outcome = RunProgram(
      {{"userprofile-server", "config", "print", "--callers", "callers.json"},
       {{"USERPROFILE_CALLERS", ""}}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
}

TEST(ConfigurationTest, ReadsFilesOnly) {
  TempDir directory;
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path :
       {directory.path(), fifo, directory / "nothing"}) {
    for (const std::string flag : {"config", "database-file", "callers",
                                   "tls-cert", "tls-key", "tls-client-ca"}) {
      SCOPED_TRACE(absl::StrCat("--", flag, " ", path));
      std::vector<std::string> words = {"userprofile-server", "serve",
                                        "--" + flag, path};
      if (flag != "tls-cert" && absl::StartsWith(flag, "tls-")) {
        words.insert(words.end(), {"--tls-cert", path});
      }
      if (flag != "tls-key" && absl::StartsWith(flag, "tls-")) {
        words.insert(words.end(), {"--tls-key", path});
      }
      const Outcome outcome = RunProgram({words});
      EXPECT_EQ(outcome.exit_code, 2);
      EXPECT_THAT(outcome.errors, HasSubstr("can't read " + path));
    }
    const Outcome outcome =
        RunProgram({{"userprofile-server", "config", "print"},
                    {{"USERPROFILE_CONFIG", path}}});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.errors, HasSubstr("can't read " + path));
  }
}

TEST(ConfigurationTest, ALineEndBehindAVariableIsNotPartOfIt) {
  const Outcome outcome =
      RunProgram({{"userprofile-server", "config", "print", "--output", "json"},
                  {{"USERPROFILE_DATABASE", "host=db user=u\n"},
                   {"USERPROFILE_MAX_BATCH", "7 \r\n"},
                   {"USERPROFILE_LISTEN", " \n"}}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("USERPROFILE_LISTEN: is empty"));
  const Outcome good =
      RunProgram({{"userprofile-server", "config", "print", "--output", "json"},
                  {{"USERPROFILE_DATABASE", "host=db user=u\n"},
                   {"USERPROFILE_MAX_BATCH", "7 \r\n"}}});
  EXPECT_EQ(good.exit_code, 0) << good.errors;
  const auto settings = nlohmann::json::parse(good.output);
  EXPECT_EQ(settings["database"]["value"], "host='db' user='u'");
  EXPECT_EQ(settings["max-batch"]["value"], "7");
}

TEST(ConfigurationTest, SaysWhatIsWrongWithAConnectionString) {
  const Outcome outcome =
      RunProgram({{"userprofile-server", "schema", "check", "--database",
                   "postgresql+asyncpg://u:hush-hush@h/d?schema=app"}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(
      outcome.errors,
      AllOf(HasSubstr("postgresql+asyncpg://"), HasSubstr("--database"),
            HasSubstr("write postgresql://"), Not(HasSubstr("hush-hush"))));
}

// A server whose database file may be written anew.
class DatabaseFileTest : public ::testing::Test {
 protected:
  DatabaseFileTest() {
    Write(file_, database_.conninfo());
    options_.words = {"userprofile-server",
                      "serve",
                      absl::StrCat("--database-file=", file_),
                      "--migrate",
                      absl::StrCat("--listen=", address_),
                      "--admin-listen=127.0.0.1:0"};
  }

  std::unique_ptr<Stub> NewStub() const {
    return v1::UserProfileService::NewStub(
        grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }

  // How the users' database sees those who are connected.
  bool OnlyConnectedAs(const std::string& role) const {
    const auto rows = database_.Execute(
        "SELECT count(*) FILTER (WHERE usename = '" + role +
        "'), count(*) FILTER (WHERE usename <> '" + role +
        "') FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()");
    return rows.Int64(0, 0) > 0 && rows.Int64(0, 1) == 0;
  }

  TempDir directory_;
  TestDatabase database_;
  const std::string file_ = directory_ / "database";
  const std::string address_ = absl::StrCat("unix:", directory_ / "grpc");
  Program::Options options_;
};

// A page of a server's admin port.
std::string AdminPage(const Program& server, const std::string& path) {
  const std::string log = server.errors();
  const std::string start = "http://";
  const std::size_t at = log.find(start) + start.size();
  return HttpClient(log.substr(at, log.find_first_of(" \n", at) - at))
      .Get(path)
      .body;
}

TEST_F(DatabaseFileTest, IsReadAgainOnSighup) {
  Program server(options_);
  const auto stub = NewStub();
  v1::UpsertUserResponse response;
  ASSERT_TRUE(Eventually([&] { return Upsert(*stub, 1, &response).ok(); }));

  // What can't be used, or leads nowhere yet, changes nothing: all connections
  // go on.
  v1::GetProfileResponse profile;
  ASSERT_TRUE(Get(*stub, 1, &profile).ok());
  const std::string serving(
      database_
          .Execute("SELECT string_agg(pid::text, ',') FROM pg_stat_activity"
                   " WHERE datname = current_database() AND (query LIKE"
                   " '%unnest($%' OR query LIKE '%user_id = ANY%') AND pid <>"
                   " pg_backend_pid()")
          .Text(0, 0));
  const auto all_serve = [&] {
    return database_
        .Execute(absl::StrCat(
            "SELECT count(p) = count(pid) AND count(p) > 1 FROM unnest(ARRAY[",
            serving, "]) AS p LEFT JOIN pg_stat_activity ON pid = p"))
        .Bool(0, 0);
  };
  for (const auto& make : std::vector<std::function<void()>>{
           [&] { Write(file_, "nonsense"); },
           [&] { Write(file_, ""); },
           [&] { Write(file_, "host='/tmp"); },  // half of it
           [&] { Write(file_, "postgresql://bot:hush-hush@127.0.0.1:1/d"); },
           [&] { Write(file_, "postgresql+asyncpg://u:hush-hush@h/d"); },
           [&] { std::filesystem::create_directory(file_); },
           [&] { mkfifo(file_.c_str(), 0600); },
       }) {
    std::filesystem::remove(file_);
    make();
    const std::size_t logged = server.errors().size();
    server.Signal(SIGHUP);
    EXPECT_TRUE(Eventually([&] {
      return server.errors().find("is read again: ", logged) !=
             std::string::npos;
    })) << server.errors();
    EXPECT_TRUE(Upsert(*stub, 1, &response).ok());
    EXPECT_TRUE(Get(*stub, 1, &profile).ok());
    EXPECT_TRUE(all_serve()) << server.errors();
  }
  EXPECT_THAT(
      server.errors(),
      AllOf(HasSubstr("it is a directory"), HasSubstr("regular file"),
            HasSubstr("write postgresql://"), Not(HasSubstr("nothing changed")),
            Not(HasSubstr("hush-hush"))));
  std::filesystem::remove(file_);

  database_.Execute(
      "DROP ROLE IF EXISTS newcomer; CREATE ROLE newcomer SUPERUSER LOGIN");
  Write(file_, absl::StrReplaceAll(database_.conninfo(),
                                   {{"user=userprofile", "user=newcomer"}}));
  server.Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] {
    v1::UpsertUserResponse again;
    EXPECT_TRUE(Upsert(*stub, 1, &again).ok());
    EXPECT_TRUE(Get(*stub, 1, &profile).ok());
    return OnlyConnectedAs("newcomer");
  })) << server.errors();
  // Connections that were replaced were not lost.
  EXPECT_THAT(AdminPage(server, "/metrics"),
              HasSubstr("userprofile_database_connections_lost_total 0"));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

TEST_F(DatabaseFileTest, IsReadAgainWhenAConnectionIsMade) {
  Program server(options_);
  const auto stub = NewStub();
  v1::UpsertUserResponse response;
  ASSERT_TRUE(Eventually([&] { return Upsert(*stub, 1, &response).ok(); }));
  database_.Execute(
      "DROP ROLE IF EXISTS newcomer; CREATE ROLE newcomer SUPERUSER LOGIN");
  Write(file_, absl::StrReplaceAll(database_.conninfo(),
                                   {{"user=userprofile", "user=newcomer"}}));
  database_.CutConnections();
  EXPECT_TRUE(Eventually([&] {
    v1::UpsertUserResponse again;
    EXPECT_TRUE(Upsert(*stub, 1, &again).ok());
    return OnlyConnectedAs("newcomer");
  })) << server.errors();
}

}  // namespace
}  // namespace userprofile::testing
