// The adapter as its users meet it: a program between a file or a pipe of
// updates and the real server.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/stories/server_story.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A message as getUpdates returns it.
json Update(std::int64_t update_id, std::int64_t user,
            const std::string& first_name = "Test") {
  return {
      {"update_id", update_id},
      {"message",
       {{"message_id", update_id},
        {"date", 1760000000 + update_id},
        {"chat", {{"id", user}, {"type", "private"}}},
        {"from", {{"id", user}, {"is_bot", false}, {"first_name", first_name}}},
        {"text", "/start"}}}};
}

// The lines of an output, each in short: "update_id user_id recognized code
// reason", as far as there is such a thing.
std::vector<std::string> InShort(const std::string& output) {
  std::vector<std::string> result;
  for (const absl::string_view line :
       absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    const json outcome = json::parse(std::string(line));
    std::string in_short = absl::StrCat(outcome.at("update_id").dump(), " ",
                                        outcome.at("user_id").dump());
    for (const char* name : {"recognized", "code", "reason"}) {
      if (!outcome.contains(name)) continue;
      absl::StrAppend(&in_short, " ", outcome[name].get<std::string>());
    }
    result.push_back(in_short);
  }
  return result;
}

int BytesWaitingIn(int pipe) {
  int bytes = -1;
  ioctl(pipe, FIONREAD, &bytes);
  return bytes;
}

class AdapterProgramTest : public ServerStory {
 protected:
  // The adapter, reading from a file.
  static Program::Options Adapter(const std::string& input,
                                  const std::string& server) {
    return {{"userprofile-adapter", "stdin", "--server", server, "--timeout",
             "20s"},
            {},
            input};
  }

  // What it makes of these lines.
  static Outcome Run(const std::vector<std::string>& lines) {
    const std::string input = *directory_ / "updates.jsonl";
    std::ofstream file(input);
    for (const std::string& line : lines) file << line << "\n";
    file.close();
    return RunProgram(Adapter(input, server_->address()));
  }

  static v1::Profile ProfileOf(std::int64_t user) {
    v1::GetProfileResponse response;
    const grpc::Status status = Get(*server_->NewStub(), user, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.profile();
  }

  static void Onboard(std::int64_t user) {
    v1::CompleteOnboardingRequest request;
    request.set_user_id(user);
    request.mutable_answers()->set_real_name("Ada");
    request.mutable_answers()->set_nickname(absl::StrCat("nick", user));
    v1::CompleteOnboardingResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        server_->NewStub()->CompleteOnboarding(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
};

TEST_F(AdapterProgramTest, TellsNewReturningOnboardedAndIgnored) {
  Outcome outcome = Run({
      Update(1, 101).dump(),
      Update(2, 102).dump(),
      Update(3, 101).dump(),
      R"({"update_id": 4, "poll": {"id": "1"}})",
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_THAT(InShort(outcome.output),
              ElementsAre("1 101 new", "2 102 new", "3 101 returning",
                          "4 null ignored"));
  EXPECT_THAT(outcome.errors,
              HasSubstr("4 updates: 2 new, 1 returning, 0 onboarded, "
                        "1 ignored, 0 error"));

  Onboard(101);
  outcome = Run({Update(5, 101).dump(), Update(6, 102).dump()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_THAT(InShort(outcome.output),
              ElementsAre("5 101 onboarded", "6 102 returning"));
}

TEST_F(AdapterProgramTest, MalformedLinesStopNothing) {
  const Outcome outcome = Run({
      "no JSON",
      Update(1, 201).dump(),
      "",
      R"({"update_id": 2, "message": {"from": {"id": "Secret"}}})",
      "[]",
      "\xff\xfe",
      R"({"update_id": 5, "poll": {"id": ")"
      "\xff"
      R"("}})",
      std::string(std::size_t{3} << 20, '['),
      Update(3, 201).dump(),
      R"({"update_id": 4, "message": {"from": )",
  });
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(InShort(outcome.output),
              ElementsAre("null null error INVALID_JSON", "1 201 new",
                          "2 null error INVALID_UPDATE",
                          "null null error INVALID_UPDATE",
                          "null null error INVALID_JSON", "5 null ignored",
                          "null null error LINE_TOO_LONG", "3 201 returning",
                          "null null error INVALID_JSON"));
  EXPECT_THAT(outcome.errors, HasSubstr("in line 1: INVALID_JSON"));
  EXPECT_THAT(outcome.output + outcome.errors, Not(HasSubstr("Secret")));
}

TEST_F(AdapterProgramTest, KeepsTheOrderOfEachUser) {
  constexpr int kUpdates = 300;
  constexpr int kUsers = 3;
  std::vector<std::string> lines;
  std::vector<std::string> expected;
  for (int i = 0; i < kUpdates; ++i) {
    const int user = 301 + i % kUsers;
    // Of one time, so that the order of arrival alone decides.
    json update = Update(i, user, absl::StrCat("Name", i));
    update["message"]["date"] = 1760000000;
    lines.push_back(update.dump());
    expected.push_back(
        absl::StrCat(i, " ", user, i < kUsers ? " new" : " returning"));
  }
  const Outcome outcome = Run(lines);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_EQ(InShort(outcome.output), expected);
  for (int i = kUpdates - kUsers; i < kUpdates; ++i) {
    const v1::Profile profile = ProfileOf(301 + i % kUsers);
    EXPECT_EQ(profile.first_name(), absl::StrCat("Name", i));
    EXPECT_EQ(profile.revision(), kUpdates / kUsers);
  }
}

TEST_F(AdapterProgramTest, NoUserIsLockedOutByWhatTheyAreCalled) {
  json update = Update(1, 401, "A\x01 \xc2\x85 d\na");
  json& from = update["message"]["from"];
  from["last_name"] = std::string(9999, 'x');
  from["username"] = std::string(9999, 'x');
  from["language_code"] = "classic-zh-cn";
  const Outcome outcome = Run({update.dump()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(InShort(outcome.output), ElementsAre("1 401 new"));
  const v1::Profile profile = ProfileOf(401);
  EXPECT_EQ(profile.first_name(), "A  da");
  EXPECT_EQ(profile.last_name(), std::string(256, 'x'));
  EXPECT_FALSE(profile.has_username());
  EXPECT_FALSE(profile.has_language_code());
}

TEST_F(AdapterProgramTest, AnErrorOfTheServiceIsALineWithItsCode) {
  const std::string input = *directory_ / "updates.jsonl";
  std::ofstream(input) << Update(1, 501) << "\n" << Update(2, 502) << "\n";
  Program::Options options =
      Adapter(input, absl::StrCat("unix:", *directory_ / "nobody"));
  options.words.back() = "300ms";
  const Outcome outcome = RunProgram(options);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(InShort(outcome.output),
              ElementsAre("1 501 error DEADLINE_EXCEEDED",
                          "2 502 error DEADLINE_EXCEEDED"));
  EXPECT_THAT(outcome.output, HasSubstr("no connection to"));
}

TEST_F(AdapterProgramTest, SigtermFinishesWhatWasRead) {
  // A pipe that stays open, to a server that is away for now: the updates have
  // been read, and nothing is printed, when the signal comes.
  const std::string pipe = *directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int fd = open(pipe.c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  server_->program().Signal(SIGTERM);
  ASSERT_EQ(server_->program().Wait(), 0);

  Program adapter(Adapter(pipe, server_->address()));
  // The last read shows that the lines before were taken.
  for (const std::string& bytes :
       {Update(1, 601).dump() + "\n", Update(2, 602).dump() + "\n",
        std::string("{\"update_id")}) {
    ASSERT_EQ(write(fd, bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
    EXPECT_TRUE(Eventually([&] { return BytesWaitingIn(fd) == 0; }));
  }
  EXPECT_THAT(adapter.output(), IsEmpty());
  adapter.Signal(SIGTERM);
  server_->StartReady();
  EXPECT_EQ(adapter.Wait(), 1) << "the end was not reached";
  close(fd);
  EXPECT_THAT(InShort(adapter.output()), ElementsAre("1 601 new", "2 602 new"));
  EXPECT_THAT(adapter.errors(), HasSubstr("stopped before the end"));
}

TEST_F(AdapterProgramTest, AKilledRunGoesOnAtItsCheckpoint) {
  constexpr int kUpdates = 20000;
  const std::string input = *directory_ / "many.jsonl";
  const std::string checkpoint = *directory_ / "checkpoint";
  std::ofstream file(input);
  for (int i = 1; i <= kUpdates; ++i) file << Update(i, 801 + i % 50) << "\n";
  file.close();
  Program::Options options = Adapter(input, server_->address());
  options.words.insert(options.words.end(), {"--checkpoint", checkpoint});
  // Slowly, for a checkpoint is made every second.
  Program::Options slowly = options;
  slowly.words.insert(slowly.words.end(), {"--in-flight", "1"});
  std::vector<std::string> printed;
  {
    Program adapter(slowly);
    EXPECT_TRUE(Eventually([&] {
      return access(checkpoint.c_str(), F_OK) == 0 || !adapter.running();
    }));
    adapter.Kill();
    printed = InShort(
        adapter.output().substr(0, adapter.output().find_last_of('\n') + 1));
  }
  ASSERT_LT(printed.size(), kUpdates) << "it was not killed in the middle";
  const Outcome rest = RunProgram(options);
  EXPECT_EQ(rest.exit_code, 0) << rest.errors;
  const std::vector<std::string> others = InShort(rest.output);
  EXPECT_LT(others.size(), kUpdates) << "it began anew";
  // Nothing is left out between them; a second's worth may come twice.
  ASSERT_FALSE(others.empty());
  const int first = std::stoi(others.front());
  EXPECT_LE(first, static_cast<int>(printed.size()) + 1);
  EXPECT_EQ(first + static_cast<int>(others.size()) - 1, kUpdates);
}

TEST_F(AdapterProgramTest, ASecondSignalEndsItAtOnce) {
  const std::string input = *directory_ / "updates.jsonl";
  std::ofstream(input) << Update(1, 701) << "\n";
  Program adapter(
      Adapter(input, absl::StrCat("unix:", *directory_ / "nobody")));
  EXPECT_TRUE(Eventually(
      [&] {
        adapter.Signal(SIGTERM);
        return !adapter.running();
      },
      absl::Seconds(10)));
  EXPECT_EQ(adapter.Wait(), 128 + SIGTERM);
}

TEST_F(AdapterProgramTest, AClosedStreamOrAStrangeCheckpointIsAnErrorAtOnce) {
  const std::string pipe = *directory_ / "strange";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const struct {
    std::string redirection;
    std::string errors;
  } cases[] = {
      {"<&-", "the input can't be read"},
      {"< /dev/null >&- <<< '" + Update(1, 901).dump() + "'",
       "the output can't be written"},
      {"--checkpoint " + pipe + " < /dev/null", "no regular file"},
      {"--checkpoint " + *directory_ / "" + " < /dev/null", "directory"},
  };
  for (const auto& c : cases) {
    const Outcome outcome =
        RunProgram({{"/bin/bash", "-c",
                     absl::StrCat("exec " USERPROFILE_BINARY_DIR
                                  "/bin/userprofile-adapter stdin --server ",
                                  server_->address(), " ", c.redirection)}},
                   absl::Seconds(20));
    EXPECT_EQ(outcome.exit_code, 1) << c.redirection;
    EXPECT_THAT(outcome.errors, HasSubstr(c.errors)) << c.redirection;
  }
}

TEST(AdapterUsageTest, WrongUsageIsExplained) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{
           {"userprofile-adapter"},
           {"userprofile-adapter", "nonsense"},
           {"userprofile-adapter", "stdin"},
           {"userprofile-adapter", "stdin", "--server", "nowhere"},
           {"userprofile-adapter", "stdin", "--server", "a:1", "--timeout",
            "soon"},
           {"userprofile-adapter", "stdin", "--server", "a:1", "--in-flight",
            "0"}}) {
    const Outcome outcome = RunProgram({words});
    EXPECT_EQ(outcome.exit_code, 2) << words.back();
    EXPECT_THAT(outcome.errors, Not(IsEmpty())) << words.back();
    EXPECT_THAT(outcome.output, IsEmpty()) << words.back();
  }
}

}  // namespace
}  // namespace userprofile::testing
