// Users of before come along: `userprofile-server import`, as who switches to
// the service meets it.

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/stories/migrations.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

#ifdef USERPROFILE_SANITIZED
constexpr std::int64_t kUsers = 20'000;
#else
constexpr std::int64_t kUsers = 100'000;
#endif

class ImportStoryTest : public ::testing::Test {
 protected:
  ImportStoryTest() {
    EXPECT_EQ(RunProgram(MigrateUp(database_.conninfo())).exit_code, 0);
  }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  Program::Options Import(std::vector<std::string> words,
                          std::string input_file = "") const {
    words.insert(words.begin(), {"userprofile-server", "import"});
    words.insert(words.end(), {"--database", database_.conninfo()});
    return {std::move(words), {}, std::move(input_file)};
  }

  // With `input` as standard input.
  Outcome Run(std::vector<std::string> words, const std::string& input = "") {
    return RunProgram(
        Import(std::move(words), input.empty() ? "" : Write("input", input)));
  }

  std::int64_t Count(const std::string& condition) const {
    return database_
        .Execute(absl::StrCat("SELECT count(*) FROM users WHERE ", condition))
        .Int64(0, 0);
  }

  TempDir directory_;
  TestDatabase database_;
};

TEST_F(ImportStoryTest, IsExactHoweverOftenItIsKilled) {
  std::string text = "id,name,nick,joined\n";
  for (std::int64_t i = 1; i <= kUsers; ++i) {
    absl::StrAppend(&text, i, ",\"Name, ", i, "\",", i % 2 == 0 ? "nick" : "",
                    i % 2 == 0 ? absl::StrCat(i) : "",
                    ",2024-01-01 00:00:", i % 60 < 10 ? "0" : "", i % 60, "\n");
  }
  const std::vector<std::string> words = {
      Write("users.csv", text), "--map", "user_id=id",    "--map",
      "real_name=name",         "--map", "nickname=nick", "--map",
      "created_at=joined"};
  std::int64_t before = 0;
  for (int kill = 1; kill <= 3; ++kill) {
    Program import(Import(words));
    const std::int64_t enough = before + kUsers / 10;
    ASSERT_TRUE(Eventually([&] { return Count("true") >= enough; }))
        << import.errors();
    import.Kill();
    before = Count("true");
    EXPECT_LT(before, kUsers) << "it was done before it was killed";
  }
  const Outcome outcome = Run(words);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  // How many were left is not known: PostgreSQL ends a statement that it has
  // although nobody waits for it.
  EXPECT_THAT(outcome.output, AllOf(HasSubstr(absl::StrCat(kUsers, " users: ")),
                                    HasSubstr(" created, 0 changed, ")));
  EXPECT_EQ(
      Count("real_name = 'Name, ' || user_id AND onboarding_completed = "
            "(user_id % 2 = 0) AND nickname IS NOT DISTINCT FROM CASE WHEN "
            "user_id % 2 = 0 THEN 'nick' || user_id END AND created_at = "
            "timestamptz '2024-01-01T00:00:00Z' AT TIME ZONE 'UTC' + "
            "(user_id % 60) * interval '1 second' AND revision = 1"),
      kUsers);
  EXPECT_EQ(Count("true"), kUsers);
}

TEST_F(ImportStoryTest, TellsWhatWasLeftOutAndStoresTheRest) {
  database_.Execute("INSERT INTO users (user_id, nickname) VALUES (1, 'ada')");
  const Outcome outcome =
      Run({"-", "--output", "json"},
          R"({"user_id":2,"first_name":"Eve","nickname":"ada"}
{"user_id":3,"phone":"Ada's phone"}
{"user_id":"Ada"}
)");
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_EQ(Json::parse(outcome.output), Json({{"users", 3},
                                               {"created", 2},
                                               {"changed", 0},
                                               {"incomplete", 2},
                                               {"refused", 1}}));
  EXPECT_THAT(outcome.errors,
              AllOf(HasSubstr("line 1, user 2: nickname is another user's\n"),
                    HasSubstr("line 2, user 3: phone must be"),
                    HasSubstr("line 3: user_id must be a number\n"),
                    ::testing::Not(HasSubstr("Ada"))));
  EXPECT_EQ(Count("user_id IN (1, 2, 3)"), 3);
}

TEST_F(ImportStoryTest, ADryRunSaysTheSameAndStoresNothing) {
  const std::string file =
      Write("users.jsonl", "{\"user_id\":1}\n{\"user_id\":2}\n");
  const Outcome outcome = Run({file, "--dry-run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("2 users: 2 created"), HasSubstr("dry run")));
  EXPECT_EQ(Count("true"), 0);
}

TEST_F(ImportStoryTest, RefusesWhatItDoesNotUnderstand) {
  const std::string file = Write("users.csv", "user_id,passwort\n1,x\n");
  Outcome outcome = Run({file});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors,
              AllOf(HasSubstr("\"passwort\""), HasSubstr("--map FIELD=NAME")));
  outcome = Run({file, "--map", "pass=passwort"});
  EXPECT_EQ(outcome.exit_code, 2);
  outcome = Run({directory_ / "none.csv"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("No such file"));
  EXPECT_EQ(Count("true"), 0);
  database_.Execute("ALTER TABLE users DROP COLUMN grade_year");
  outcome = Run({file, "--skip", "passwort"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.errors;
  EXPECT_EQ(Count("true"), 0);
}

// What `userprofile list` prints is such a file: a way from one service to
// another.
TEST_F(ImportStoryTest, TakesWhatTheCommandPrints) {
  database_.Execute(
      "INSERT INTO users (user_id, first_name, username, real_name, nickname, "
      "onboarding_completed, is_active, phone, attributes, created_at) VALUES "
      "(1, 'Ada, \"x\"', 'ada', 'Ada', 'ada', true, false, '+989123456789', "
      "'{\"a\": [1, \"b\"]}', '2024-01-01 10:00:00.123456'), "
      "(2, NULL, NULL, NULL, NULL, false, true, NULL, NULL, '2024-01-02')");
  constexpr char kAll[] =
      "SELECT json_agg(to_jsonb(u) - '{updated_at,revision}'::text[] ORDER BY "
      "user_id)::text FROM users AS u";
  const std::string before(database_.Execute(kAll).Text(0, 0));
  for (const std::string format : {"json", "csv"}) {
    ServerProgram server(database_.conninfo());
    server.StartReady();
    const Outcome list = RunProgram({{"userprofile", "list", "--output", format,
                                      "--server", server.address()}});
    ASSERT_EQ(list.exit_code, 0) << list.errors;
    server.program().Kill();
    database_.Execute("TRUNCATE users");
    const Outcome outcome =
        Run({"-", "--format", format == "csv" ? "csv" : "jsonl"}, list.output);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output << outcome.errors;
    EXPECT_EQ(std::string(database_.Execute(kAll).Text(0, 0)), before)
        << format;
  }
}

}  // namespace
}  // namespace userprofile::testing
