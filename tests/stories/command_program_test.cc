// `userprofile` as people use it at a terminal: the real program and a real
// server.

#include <csignal>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/server_story.h"
#include "tests/support/certificate.h"
#include "tests/support/free_port.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

std::vector<json> Lines(const std::string& output) {
  std::vector<json> lines;
  for (const absl::string_view line :
       absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    lines.push_back(json::parse(std::string(line), nullptr, false));
  }
  return lines;
}

class CommandProgramTest : public ServerStory {
 protected:
  static Program::Options Command(Words words) {
    words.insert(words.begin(), "userprofile");
    return {words,
            {{"USERPROFILE_SERVER", server_->address()},
             {"USERPROFILE_TIMEOUT", "60s"}}};
  }

  static Outcome Run(Words words) {
    return RunProgram(Command(std::move(words)));
  }

  // A command of bash, in which the program is $U.
  static Outcome RunInShell(const std::string& command,
                            const std::string& input = "") {
    return RunProgram({{"/bin/bash", "-c", command},
                       {{"USERPROFILE_SERVER", server_->address()},
                        {"U", USERPROFILE_BINARY_DIR "/bin/userprofile"}},
                       input});
  }

  static v1::UpsertUserRequest Contact(std::int64_t user,
                                       const std::string& first_name,
                                       const std::string& language = "en") {
    v1::UpsertUserRequest request;
    request.set_user_id(user);
    request.mutable_identity()->set_first_name(first_name);
    request.mutable_identity()->set_username(absl::StrCat("user", user));
    request.mutable_identity()->set_language_code(language);
    return request;
  }

  static void Upsert(const v1::BatchUpsertUsersRequest& request) {
    v1::BatchUpsertUsersResponse response;
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    const grpc::Status status =
        server_->NewStub()->BatchUpsertUsers(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  static void Rename(std::int64_t user, const std::string& first_name) {
    v1::BatchUpsertUsersRequest request;
    *request.add_requests() = Contact(user, first_name);
    Upsert(request);
  }
};

TEST_F(CommandProgramTest, GetsFindsAndEdits) {
  Rename(101, "Sara");
  Rename(102, "Omid");
  Outcome outcome = Run({"get", "101"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_THAT(outcome.output, StartsWith("user_id               101\n"
                                         "username              user101\n"
                                         "first_name            Sara\n"));
  outcome = Run({"get", "102", "199", "101", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, 3);
  const auto users = Lines(outcome.output);
  ASSERT_EQ(users.size(), 2u);
  EXPECT_EQ(users[0]["user_id"], "102");
  EXPECT_EQ(users[1]["first_name"], "Sara");
  EXPECT_EQ(outcome.errors, "userprofile: user 199 is not known\n");

  outcome = Run({"edit", "101", "--set", "nickname=sara", "--set",
                 "attributes.city=Shiraz", "--set", "attributes.streak=3",
                 "--if-revision", "1", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  ASSERT_EQ(Lines(outcome.output).size(), 1u);
  EXPECT_EQ(Lines(outcome.output)[0]["attributes"],
            json({{"city", "Shiraz"}, {"streak", 3}}));
  outcome = Run(
      {"edit", "101", "--clear", "attributes.streak", "--reset-onboarding"});
  EXPECT_THAT(outcome.output, HasSubstr("{\"city\":\"Shiraz\"}\n"));
  outcome = Run({"edit", "101", "--clear", "attributes", "--if-revision", "1"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("(REVISION_MISMATCH)\n  look at"));
  outcome = Run({"edit", "102", "--set", "nickname=sara"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("'userprofile find NICKNAME'"));
  outcome = Run({"edit", "102", "--set", "phone=12"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("INVALID_FIELDS"));

  for (const char* name : {"sara", "@USER101"}) {
    outcome = Run({"find", name, "--output", "csv"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    EXPECT_THAT(outcome.output, StartsWith("user_id,username,"));
    EXPECT_THAT(outcome.output, HasSubstr("\r\n101,user101,Sara,"));
  }
  for (const char* nickname : {"@sara_a", "@sara a"}) {
    Run({"edit", "101", "--set", absl::StrCat("nickname=", nickname)});
    outcome = Run({"find", nickname, "--output", "csv"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    EXPECT_THAT(outcome.output, HasSubstr("\r\n101,user101,Sara,"));
  }
  outcome = Run({"find", "@nobody"});
  EXPECT_EQ(outcome.exit_code, 3);
  outcome = Run({"find", "nobody"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.errors, HasSubstr("USER_NOT_FOUND"));
}

TEST_F(CommandProgramTest, ListsAndCountsThoseWhomAFilterLetsPass) {
  constexpr std::int64_t kUsers = 2100;  // three pages
  for (std::int64_t user = 1; user <= kUsers;) {
    v1::BatchUpsertUsersRequest request;
    for (int i = 0; i < 700; ++i, ++user) {
      *request.add_requests() =
          Contact(user, "Listed", user == 402 || user == 404 ? "de-AT" : "en");
    }
    Upsert(request);
  }
  Outcome outcome = Run({"list", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  std::int64_t last = 0;
  std::int64_t users = 0;
  for (const json& user : Lines(outcome.output)) {
    const std::int64_t id = std::stoll(user["user_id"].get<std::string>());
    EXPECT_GT(id, last);
    last = id;
    if (id <= kUsers) ++users;
  }
  EXPECT_EQ(users, kUsers);

  const Words filter = {"--language", "de", "--created-from", "2020-01-01",
                        "--onboarding-completed=false"};
  Words words = {"list", "--limit", "2"};
  words.insert(words.end(), filter.begin(), filter.end());
  outcome = Run(words);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_THAT(outcome.output, StartsWith("user_id  username"));
  EXPECT_THAT(outcome.output, HasSubstr("\n402      user402"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("user403")));
  words = {"count"};
  words.insert(words.end(), filter.begin(), filter.end());
  EXPECT_EQ(Run(words).output, "2\n");
  EXPECT_EQ(
      Run({"count", "--output", "csv", "--nickname-prefix", "nobody"}).output,
      "count\r\n0\r\n");
  EXPECT_EQ(Run({"count", "--attribute", "city=null", "--attribute", "x=1",
                 "--output", "json"})
                .output,
            "{\"count\":\"0\"}\n");
}

TEST_F(CommandProgramTest, DeletesOnceAPersonAgrees) {
  for (std::int64_t user = 501; user <= 503; ++user) Rename(user, "Gone");
  Outcome outcome = Run({"delete", "501"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("say --yes"));
  outcome = Run({"delete", "501", "--yes", "--if-revision", "9"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(Run({"delete", "501", "--yes"}).output,
            "Nothing is known of user 501 now.\n");
  EXPECT_EQ(Run({"delete", "501", "--yes"}).exit_code, 3);
  EXPECT_EQ(Run({"delete", "501", "--yes", "--if-exists"}).exit_code, 0);

  const std::string input = *directory_ / "answer";
  const struct {
    std::string user;
    const char* answer;
    int left;  // the exit code of get, afterwards
  } cases[] = {{"502", "y\n", 3}, {"503", "n\n", 0}, {"503", "\n", 0}};
  for (const auto& [user, answer, left] : cases) {
    std::ofstream(input) << answer;
    outcome = RunInShell(
        absl::StrCat("script -qec \"$U delete ", user, "\" /dev/null"), input);
    EXPECT_EQ(outcome.exit_code == 0, left == 3) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr(absl::StrCat("of user ", user, "?")));
    EXPECT_EQ(Run({"get", user}).exit_code, left) << answer;
  }
}

TEST_F(CommandProgramTest, AKilledWatchGoesOnFromItsFile) {
  const std::string file = *directory_ / "watch.token";
  const Words filter = {"--language", "en", "--resume-file", file};
  Words words = {"list", "--output", "json"};
  words.insert(words.end(), filter.begin(), filter.end());
  Rename(601, "Before");
  ASSERT_EQ(Run(words).exit_code, 0);
  Rename(601, "Between");  // told by the watch

  words[0] = "watch";
  std::set<std::string> told;
  const auto take = [&](const Program& watch) {
    const std::string output = watch.output();
    for (const json& event :
         Lines(output.substr(0, output.find_last_of('\n') + 1))) {
      if (event.contains("profile")) {
        told.insert(event["profile"]["first_name"].get<std::string>());
      }
      if (event.contains("deleted_user_id")) told.insert("deleted");
      if (event.contains("unmatched_user_id")) told.insert("unmatched");
    }
  };
  std::string token;
  for (int kill = 0; kill < 3; ++kill) {
    Program watch(Command(words));
    const std::string name = kill == 0 ? "Between" : absl::StrCat("Away", kill);
    EXPECT_TRUE(Eventually([&] {
      take(watch);
      return told.count(name) == 1;
    })) << watch.errors();
    // Until the token is kept, the same is told again.
    EXPECT_TRUE(Eventually([&] { return *base::ReadFile(file) != token; }));
    watch.Kill();
    token = *base::ReadFile(file);
    Rename(601, absl::StrCat("Away", kill + 1));
  }
  Program watch(Command(words));
  EXPECT_TRUE(Eventually([&] {
    take(watch);
    return told.count("Away3") == 1;
  }));
  v1::BatchUpsertUsersRequest others;
  *others.add_requests() = Contact(602, "Another", "fa");
  Upsert(others);
  EXPECT_EQ(Run({"delete", "601", "--yes"}).exit_code, 0);
  EXPECT_TRUE(Eventually([&] {
    take(watch);
    return told.count("deleted") == 1 && told.count("unmatched") == 1;
  }));
  watch.Signal(SIGTERM);
  EXPECT_EQ(watch.Wait(), 0);
  const std::string kept = *base::ReadFile(file);
  EXPECT_EQ(watch.errors(), "userprofile: go on with --from " + kept);

  // Without a file, by the token.
  Rename(601, "Again");
  const std::string from(absl::StripSuffix(kept, "\n"));
  Program again(Command({"watch", "--language", "en", "--from", from}));
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(again.output(), "Again");
  })) << again.errors();
  EXPECT_THAT(again.output(), StartsWith("event    user_id  revision"));
  again.Signal(SIGINT);
  EXPECT_EQ(again.Wait(), 0);
  // Another filter is another watch.
  const Outcome refused = Run({"watch", "--from", from});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors, HasSubstr("INVALID_FIELDS"));
}

TEST_F(CommandProgramTest, WhatCantBeWrittenIsAnError) {
  Rename(701, "Sara");
  for (const char* command :
       {"$U get 701 >&-", "$U get 701 >/dev/full", "$U list >/dev/full"}) {
    const Outcome outcome = RunInShell(command);
    EXPECT_EQ(outcome.exit_code, 1) << command;
    EXPECT_THAT(outcome.errors, HasSubstr("the output can't be written"));
  }
}

TEST_F(CommandProgramTest, WrongUsageIsSaidBeforeAnythingIsSent) {
  // Were anything sent, it would be sent to nobody, for ten seconds.
  const std::string nobody = absl::StrCat("unix:", *directory_ / "nobody");
  for (const Words& words : std::vector<Words>{
           {},
           {"nonsense"},
           {"get"},
           {"get", "sara"},
           {"get", "101", "0"},
           {"get", "101", "--output", "xml"},
           {"get", "101", "--server", "nowhere"},
           {"find"},
           {"find", "sara", "omid"},
           {"list", "--created-from", "yesterday"},
           {"list", "--limit", "-1"},
           {"list", "--limit", "1", "--resume-file", "f"},
           {"count", "--active=perhaps"},
           {"edit", "101"},
           {"edit", "101", "--set", "user_id=5"},
           {"edit", "101", "--set", "nickname="},
           {"edit", "101", "--clear", "phone", "--if-revision", "0"},
           {"delete", "--yes"},
           {"delete", "101x", "--yes"},
           {"watch", "--attribute", "city"},
           {"watch", "--resume-file", "/"},
           {"completion", "tcsh"},
           {"get", "101", "--token-file", "/nowhere"}}) {
    Program::Options options = Command(words);
    options.environment["USERPROFILE_SERVER"] = nobody;
    const Outcome outcome = RunProgram(options);
    const std::string line = absl::StrJoin(words, " ");
    EXPECT_EQ(outcome.exit_code, 2) << line;
    EXPECT_THAT(outcome.errors, Not(IsEmpty())) << line;
    EXPECT_THAT(outcome.errors, Not(HasSubstr("no connection"))) << line;
    EXPECT_THAT(outcome.output, IsEmpty()) << line;
  }
}

TEST_F(CommandProgramTest, WithoutAServiceItSaysWhereItLooked) {
  const std::string nobody = absl::StrCat("unix:", *directory_ / "nobody");
  for (const Words& words : std::vector<Words>{{"get", "101"}, {"watch"}}) {
    Program::Options options = Command(words);
    options.words.insert(options.words.end(),
                         {"--server", nobody, "--timeout", "300ms"});
    const Outcome outcome = RunProgram(options);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.errors, HasSubstr("no connection to " + nobody));
    EXPECT_THAT(outcome.errors, HasSubstr("--server HOST:PORT"));
  }
}

TEST_F(CommandProgramTest, WhereCallersAreKnownItSaysWhatToShow) {
  const Certificate certificate({.subject_alternative_names = "IP:127.0.0.1"});
  const json token = json::parse(RunProgram({{"userprofile-server", "token",
                                              "create", "--output", "json"}})
                                     .output);
  const std::string callers = *directory_ / "callers.json";
  const std::string token_file = *directory_ / "token";
  std::ofstream(token_file) << token.at("token").get<std::string>() << "\n";
  std::ofstream(callers) << json(
      {{"callers",
        {{{"name", "crm"},
          {"roles", {"reader"}},
          {"token_sha256", {token.at("token_sha256")}}}}}});
  ServerProgram server(
      absl::StrCat("embedded:", *directory_ / "callers-database"),
      {"--tls-cert", certificate.certificate_file(), "--tls-key",
       certificate.key_file(), "--callers", callers});
  server.ListenOn(absl::StrCat("127.0.0.1:", FreePort()));
  server.StartReady();
  const auto run = [&](Words words) {
    words.insert(words.end(),
                 {"--server", server.address(), "--tls", "--tls-ca-file",
                  certificate.certificate_file()});
    return Run(words);
  };
  Outcome outcome = run({"count"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("(CREDENTIALS_MISSING)\n  say who"));
  outcome = run({"count", "--token-file", token_file});
  EXPECT_EQ(outcome.output, "0\n") << outcome.errors;
  outcome = run({"delete", "1", "--yes", "--token-file", token_file});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("admins do all"));
  std::ofstream(token_file) << "another";
  outcome = run({"count", "--token-file", token_file});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("UNKNOWN_TOKEN"));
  EXPECT_THAT(outcome.errors, Not(HasSubstr("another")));
}

TEST_F(CommandProgramTest, AShellCompletesCommandsFlagsAndValues) {
  const auto complete = [](const std::string& words) {
    const Outcome outcome = RunInShell(absl::StrCat(
        "compopt() { :; }; source <($U completion bash) && COMP_WORDS=(", words,
        ") && COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && _userprofile && "
        "(IFS=,; echo \"${COMPREPLY[*]}\")"));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    EXPECT_THAT(outcome.errors, IsEmpty());
    return outcome.output;
  };
  EXPECT_EQ(complete("userprofile co"), "count,completion\n");
  EXPECT_EQ(complete("userprofile list --created-"),
            "--created-from,--created-before\n");
  EXPECT_EQ(complete("userprofile list --output ''"), "text,json,csv\n");
  EXPECT_EQ(complete("userprofile edit 101 --if"), "--if-revision\n");
  const TempDir folder;
  std::ofstream(folder / "a token") << "x";
  const std::string file = folder / "a";
  EXPECT_EQ(complete(absl::StrCat("userprofile get --token-file ", file)),
            absl::StrCat(file, " token\n"));
  for (const char* shell : {"zsh", "fish"}) {
    const Outcome outcome = RunInShell(
        absl::StrCat("f=$(mktemp) && $U completion ", shell,
                     " >$f && grep -c created-from $f"
                     " && if command -v ",
                     shell, " >/dev/null; then ", shell, " -n $f; fi"));
    EXPECT_EQ(outcome.exit_code, 0) << shell << outcome.errors;
    EXPECT_EQ(outcome.output, "3\n") << "list, count and watch";
  }
}

}  // namespace
}  // namespace userprofile::testing
