// A known user stays known, and one who was deleted is gone, whatever is
// killed: the adapter in the middle of its file, the server (and the PostgreSQL
// in it) at work, ten times over.

#include <algorithm>
#include <cstdint>
#include <fstream>
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

// What the outside world has been told of users, and whether that was ever
// taken back. Thread-safe.
class Memory {
 public:
  using Users = std::set<std::int64_t>;

  // Those of whom an answer told something.
  Users known() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return known_;
  }

  // Takes in the answer to a call; `known` are those who were known before it
  // was sent.
  void Saw(std::int64_t user, bool created, const Users& known) {
    std::lock_guard<std::mutex> lock(mutex_);
    EXPECT_FALSE(created && known.count(user) > 0)
        << "user " << user << " was known, and is reported as new";
    if (created) {
      EXPECT_TRUE(created_.insert(user).second)
          << "user " << user << " was created twice";
    }
    known_.insert(user);
  }

  // Takes in what an adapter printed that was started when `known` were known.
  // The last line of one that was killed may be cut off.
  void Read(const std::string& output, Users known) {
    for (const absl::string_view line : absl::StrSplit(output, '\n')) {
      const auto result =
          nlohmann::json::parse(std::string(line), nullptr, false);
      if (!result.is_object()) continue;
      const std::string recognized = result["recognized"];
      if (recognized == "error") {
        ++errors_;
        continue;
      }
      Saw(result["user_id"], recognized == "new", known);
      known.insert(result["user_id"].get<std::int64_t>());
    }
  }

  int errors() const { return errors_; }

 private:
  mutable std::mutex mutex_;
  Users known_;
  Users created_;
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

  // A call that waits until the server is there again.
  static void WaitForServer(grpc::ClientContext& context) {
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(20));
  }

  // Completes the onboarding of the users whose turn it is, and remembers those
  // for which that was acknowledged; lets as many others come, and go for ever.
  void OnboardAndDelete(Stub& stub, int round) {
    for (std::int64_t user = 1; user <= kUsers / 2; ++user) {
      if (user % kRounds != round) continue;
      ComeAndGo(stub, kUsers + user);
      // One that starts says at once that it can't yet.
      Eventually([&] {
        const Memory::Users known = memory_.known();
        v1::UpsertUserResponse upserted;
        if (!Upsert(stub, user, &upserted).ok()) return false;
        memory_.Saw(user, upserted.created(), known);
        return true;
      });
      v1::CompleteOnboardingRequest request;
      request.set_user_id(user);
      request.mutable_answers()->set_real_name("Ada");
      request.mutable_answers()->set_nickname(Name(user));
      const bool onboarded = Eventually([&] {
        v1::CompleteOnboardingResponse response;
        grpc::ClientContext context;
        WaitForServer(context);
        return stub.CompleteOnboarding(&context, request, &response).ok();
      });
      if (onboarded) onboarded_.insert(user);
    }
  }

  void ComeAndGo(Stub& stub, std::int64_t user) {
    v1::UpsertUserResponse upserted;
    EXPECT_TRUE(Eventually([&] { return Upsert(stub, user, &upserted).ok(); }));
    v1::DeleteUserRequest request;
    request.set_user_id(user);
    request.set_allow_missing(true);  // the answer before may be lost
    EXPECT_TRUE(Eventually([&] {
      v1::DeleteUserResponse response;
      grpc::ClientContext context;
      WaitForServer(context);
      return stub.DeleteUser(&context, request, &response).ok();
    }));
    deleted_.insert(user);
  }

  TempDir directory_;
  const std::string updates_ = directory_ / "updates.jsonl";
  ServerProgram server_{absl::StrCat("embedded:", directory_ / "database")};
  Memory memory_;
  std::set<std::int64_t> onboarded_;  // while it is acknowledged, by one thread
  std::set<std::int64_t> deleted_;    // the same
};

TEST_F(RestartStoryTest, NoUserIsForgottenWhateverIsKilled) {
  std::mt19937 random(2);
  server_.StartReady();
  for (int round = 0; round < kRounds; ++round) {
    const auto stub = server_.NewStub();
    std::thread editing([&] { OnboardAndDelete(*stub, round); });

    // The adapter is killed in the middle of its file, and run again.
    Memory::Users known = memory_.known();
    auto adapter = StartAdapter(static_cast<int>(random() % 500) + 1);
    adapter->Kill();
    memory_.Read(adapter->output(), known);

    // The server is killed while that goes on, and started again.
    known = memory_.known();
    adapter = StartAdapter(static_cast<int>(random() % 500) + 1);
    server_.program().Kill();
    server_.StartReady();
    adapter->Wait(absl::Seconds(120));
    memory_.Read(adapter->output(), known);
    editing.join();
  }
  // At last, without any disturbance: nobody is new any more.
  const Outcome last = RunProgram(Adapter());
  EXPECT_EQ(last.exit_code, 0) << last.errors;
  EXPECT_EQ(last.output.find("\"new\""), std::string::npos);
  EXPECT_EQ(std::count(last.output.begin(), last.output.end(), '\n'),
            2 * kUsers);
  memory_.Read(last.output, memory_.known());
  EXPECT_EQ(memory_.known().size(), kUsers);

  // Every onboarding that was acknowledged is there.
  const auto stub = server_.NewStub();
  EXPECT_EQ(onboarded_.size(), kUsers / 2);
  for (const std::int64_t user : onboarded_) {
    v1::GetProfileResponse response;
    const grpc::Status status = Get(*stub, user, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.profile().onboarding_completed()) << user;
    EXPECT_EQ(response.profile().nickname(), Name(user));
  }
  // And nobody whose deletion was; a contact makes them new.
  EXPECT_EQ(deleted_.size(), kUsers / 2);
  for (const std::int64_t user : deleted_) {
    v1::GetProfileResponse response;
    EXPECT_EQ(Get(*stub, user, &response).error_code(),
              grpc::StatusCode::NOT_FOUND)
        << user;
  }
  v1::UpsertUserResponse again;
  EXPECT_TRUE(Upsert(*stub, *deleted_.begin(), &again).ok());
  EXPECT_TRUE(again.created());
  RecordProperty("onboarded", static_cast<int>(onboarded_.size()));
  RecordProperty("errors", memory_.errors());
  server_.program().Signal(SIGTERM);
  EXPECT_EQ(server_.program().Wait(), 0);
}

}  // namespace
}  // namespace userprofile::testing
