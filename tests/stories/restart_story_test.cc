// A known user stays known, whatever is killed: the adapter in the middle of
// its file, the server (and the PostgreSQL in it) at work, ten times over.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

constexpr std::int64_t kUsers = 1000;
constexpr int kRounds = 10;

std::string Name(std::int64_t user) { return absl::StrCat("nick", user); }

// Two contacts of every user, in a random order, as getUpdates returns them.
void WriteUpdates(const std::string& path) {
  std::vector<std::int64_t> contacts;
  for (std::int64_t user = 1; user <= kUsers; ++user) {
    contacts.insert(contacts.end(), {user, user});
  }
  std::shuffle(contacts.begin(), contacts.end(), std::mt19937(1));
  std::ofstream file(path);
  for (std::size_t i = 0; i < contacts.size(); ++i) {
    const std::int64_t user = contacts[i];
    file << nlohmann::json({{"update_id", i + 1},
                            {"message",
                             {{"message_id", i + 1},
                              {"date", 1760000000 + i},
                              {"chat", {{"id", user}, {"type", "private"}}},
                              {"from",
                               {{"id", user},
                                {"is_bot", false},
                                {"first_name", absl::StrCat("User ", user)}}},
                              {"text", "/start"}}}})
         << "\n";
  }
}

// What the outside world has been told of users, and whether it ever changed.
class Memory {
 public:
  // Takes in what an adapter printed. The last line of one that was killed may
  // be cut off.
  void Read(const std::string& output) {
    for (const absl::string_view line : absl::StrSplit(output, '\n')) {
      const auto result =
          nlohmann::json::parse(std::string(line), nullptr, false);
      if (!result.is_object()) continue;
      const std::string recognized = result["recognized"];
      if (recognized == "error") {
        ++errors_;
        continue;
      }
      Saw(result["user_id"], recognized == "new");
    }
  }

  void Saw(std::int64_t user, bool created) {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool was_known = !known_.insert(user).second;
    EXPECT_FALSE(created && was_known)
        << "user " << user << " was known, and is reported as new";
    if (created) {
      EXPECT_EQ(++created_[user], 1) << "user " << user << " created twice";
    }
  }

  void Onboarded(std::int64_t user) {
    std::lock_guard<std::mutex> lock(mutex_);
    onboarded_.insert(user);
  }

  std::set<std::int64_t> onboarded() const { return onboarded_; }
  std::size_t known() const { return known_.size(); }
  int errors() const { return errors_; }

 private:
  mutable std::mutex mutex_;
  std::set<std::int64_t> known_;
  std::map<std::int64_t, int> created_;
  std::set<std::int64_t> onboarded_;
  int errors_ = 0;
};

class RestartStoryTest : public ::testing::Test {
 protected:
  RestartStoryTest() { WriteUpdates(updates_); }

  Program::Options Adapter() const {
    return {{"userprofile-adapter", "stdin", "--server", server_.address(),
             "--timeout", "30s"},
            {},
            updates_};
  }

  // Starts the adapter, and waits until it has printed some results.
  std::unique_ptr<Program> StartAdapter(int lines) {
    auto adapter = std::make_unique<Program>(Adapter());
    EXPECT_TRUE(Eventually([&] {
      const std::string output = adapter->output();
      return std::count(output.begin(), output.end(), '\n') >= lines ||
             !adapter->running();
    })) << adapter->errors();
    return adapter;
  }

  // Completes the onboarding of the users whose turn it is, and remembers those
  // for which that was acknowledged.
  void Onboard(Stub& stub, int round) {
    for (std::int64_t user = 1; user <= kUsers / 2; ++user) {
      if (user % kRounds != round) continue;
      v1::UpsertUserResponse upserted;
      if (!Upsert(stub, user, &upserted).ok()) continue;
      memory_.Saw(user, upserted.created());
      v1::CompleteOnboardingRequest request;
      request.set_user_id(user);
      request.mutable_answers()->set_real_name("Ada");
      request.mutable_answers()->set_nickname(Name(user));
      v1::CompleteOnboardingResponse response;
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::seconds(20));
      if (stub.CompleteOnboarding(&context, request, &response).ok()) {
        memory_.Onboarded(user);
      }
    }
  }

  TempDir directory_;
  const std::string updates_ = directory_ / "updates.jsonl";
  ServerProgram server_{absl::StrCat("embedded:", directory_ / "database")};
  Memory memory_;
};

TEST_F(RestartStoryTest, NoUserIsForgottenWhateverIsKilled) {
  std::mt19937 random(2);
  server_.StartReady();
  for (int round = 0; round < kRounds; ++round) {
    const auto stub = server_.NewStub();
    std::thread onboarding([&] { Onboard(*stub, round); });

    // The adapter is killed in the middle of its file, and run again.
    auto adapter = StartAdapter(static_cast<int>(random() % 500) + 1);
    adapter->Kill();
    memory_.Read(adapter->output());

    // The server is killed while that goes on, and started again.
    adapter = StartAdapter(static_cast<int>(random() % 500) + 1);
    server_.program().Kill();
    server_.StartReady();
    adapter->Wait(absl::Seconds(120));
    memory_.Read(adapter->output());
    onboarding.join();
  }
  // At last, without any disturbance: nobody is new any more.
  const Outcome last = RunProgram(Adapter());
  EXPECT_EQ(last.exit_code, 0) << last.errors;
  EXPECT_EQ(last.output.find("\"new\""), std::string::npos);
  EXPECT_EQ(std::count(last.output.begin(), last.output.end(), '\n'),
            2 * kUsers);
  memory_.Read(last.output);
  EXPECT_EQ(memory_.known(), kUsers);

  // Every onboarding that was acknowledged is there.
  const auto stub = server_.NewStub();
  Onboard(*stub, 0);
  const std::set<std::int64_t> onboarded = memory_.onboarded();
  EXPECT_GT(onboarded.size(), kUsers / 4);
  for (const std::int64_t user : onboarded) {
    v1::GetProfileResponse response;
    const grpc::Status status = Get(*stub, user, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.profile().onboarding_completed()) << user;
    EXPECT_EQ(response.profile().nickname(), Name(user));
  }
  RecordProperty("onboarded", static_cast<int>(onboarded.size()));
  RecordProperty("errors", memory_.errors());
  server_.program().Signal(SIGTERM);
  EXPECT_EQ(server_.program().Wait(), 0);
}

}  // namespace
}  // namespace userprofile::testing
