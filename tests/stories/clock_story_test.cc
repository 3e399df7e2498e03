// Somebody sets the system's clock back by an hour while the server serves, or
// the adapter: that holds up nothing. Needs libfaketime (Debian's package
// `faketime`).

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/bot_api.h"
#include "tests/support/http_server.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

// Its library; empty if it is not installed.
std::string FakeTime() {
  for (const char* machine : {"x86_64-linux-gnu", "aarch64-linux-gnu"}) {
    const std::string path =
        absl::StrCat("/usr/lib/", machine, "/faketime/libfaketimeMT.so.1");
    if (std::filesystem::exists(path)) return path;
  }
  return "";
}

// A clock that the programs of a test go by.
class FakeClock : public ::testing::Test {
 protected:
  void SetUp() override {
    if (FakeTime().empty()) {
      GTEST_SKIP() << "libfaketime is not installed: apt-get install faketime";
    }
#ifdef USERPROFILE_SANITIZED
    GTEST_SKIP() << "sanitizers must be loaded before libfaketime";
#endif
    SetBack("+0");
    Start();
  }
  virtual void Start() = 0;

  // In libfaketime's words, relative to the real time.
  void SetBack(const std::string& offset) {
    std::ofstream(clock_ + ".new") << offset << "\n";
    std::filesystem::rename(clock_ + ".new", clock_);
  }

  TempDir directory_;
  const std::string clock_ = directory_ / "clock";
  const std::map<std::string, std::string> environment_ = {
      {"LD_PRELOAD", FakeTime()},
      {"FAKETIME_TIMESTAMP_FILE", clock_},
      {"FAKETIME_NO_CACHE", "1"},
      {"DONT_FAKE_MONOTONIC", "1"}};
};

class ClockStory : public FakeClock {
 protected:
  void Start() override {
    server_ = std::make_unique<ServerProgram>(
        database_.conninfo(),
        std::vector<std::string>{"--migrate", "--max-rate", "20",
                                 "--drain-timeout", "2s"},
        environment_);
    server_->StartReady();
    stub_ = server_->NewStub();
    ASSERT_TRUE(Call().ok());
  }

  grpc::Status Call() {
    v1::UpsertUserResponse response;
    return Upsert(*stub_, 1, &response);
  }

  TestDatabase database_;
  std::unique_ptr<ServerProgram> server_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(ClockStory, CallersAreNotHeldToARateForAnHour) {
  // A burst uses up what is allowed.
  EXPECT_TRUE(Eventually([&] { return ReasonOf(Call()) == "RATE_LIMITED"; }));
  SetBack("-1h");
  EXPECT_TRUE(Eventually([&] { return Call().ok(); }, absl::Seconds(5)));
}

TEST_F(ClockStory, TheSchemaIsWatched) {
  SetBack("-1h");
  database_.Execute("ALTER TABLE users RENAME COLUMN nickname TO nick");
  server_->AwaitNotReady("nickname", absl::Seconds(10));
  database_.Execute("ALTER TABLE users RENAME COLUMN nick TO nickname");
  server_->AwaitReady(absl::Seconds(10));
}

TEST_F(ClockStory, CallsGoOnAfterTheDatabaseWasAway) {
  database_.StopServer();
  EXPECT_FALSE(Call().ok());
  SetBack("-1h");
  database_.StartServer();
  EXPECT_TRUE(Eventually([&] { return Call().ok(); }, absl::Seconds(20)));
}

TEST_F(ClockStory, SigtermIsObeyed) {
  auto holder = database_.Connect();
  ASSERT_TRUE(
      holder->ExecuteScript("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE").ok());
  std::thread waits([this] { Call().ok(); });
  ASSERT_TRUE(Eventually([&] {
    return database_
        .Execute("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        .Bool(0, 0);
  }));
  server_->program().Signal(SIGTERM);
  SetBack("-1h");
  EXPECT_EQ(server_->program().Wait(absl::Seconds(10)), 0);
  waits.join();
}

TEST_F(ClockStory, TheMigrationAtStartGoesOnAfterTheDatabaseWasAway) {
  server_->program().Signal(SIGTERM);
  ASSERT_EQ(server_->program().Wait(), 0);
  database_.StopServer();
  server_->Start();
  ASSERT_TRUE(Eventually([&] {
    return server_->program().errors().find("can't migrate") !=
           std::string::npos;
  }));
  SetBack("-1h");
  database_.StartServer();
  EXPECT_TRUE(Eventually(
      [&] {
        return server_->program().errors().find("schema is up to date") !=
               std::string::npos;
      },
      absl::Seconds(20)));
}

// An adapter that goes by that clock. Its peers fail until they are told to be
// well, so that it waits, with pauses of seconds, when the clock is set back.
class AdapterClockStory : public FakeClock {
 protected:
  void Start() override {
    api_.LieBy([this](const std::string&,
                      const nlohmann::json&) -> std::optional<BotApi::Raw> {
      ++polls_;
      if (polls_ == 1 || well_) return std::nullopt;
      return BotApi::Raw{502, "<html>"};
    });
    api_.Add({{"poll", {{"id", "1"}}}});
    auto environment = environment_;
    environment["USERPROFILE_BOT_TOKEN"] = api_.token();
    adapter_ = std::make_unique<Program>(Program::Options{
        {"userprofile-adapter", "poll", "--server", "127.0.0.1:1",
         "--forward-to", absl::StrCat("http://", bot_.address(), "/"),
         "--api-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
         "--bot-api-url", api_.url()},
        environment});
    // The pauses double, up to five seconds: these are in one of a second.
    ASSERT_TRUE(Eventually([this] { return polls_ >= 6 && updates_ >= 5; }))
        << adapter_->errors();
    SetBack("-1h");
  }
  std::atomic<bool> well_ = false;
  std::atomic<int> polls_ = 0;
  std::atomic<int> updates_ = 0;
  HttpServer bot_{[this](const HttpRequest&) {
    ++updates_;
    return HttpResponse{well_ ? 200 : 503};
  }};
  BotApi api_;
  std::unique_ptr<Program> adapter_;
};

TEST_F(AdapterClockStory, PausesEnd) {
  well_ = true;
  EXPECT_TRUE(Eventually([this] { return api_.pending() == 0; }))
      << adapter_->errors();
}

TEST_F(AdapterClockStory, SigtermIsObeyed) {
  adapter_->Signal(SIGTERM);
  EXPECT_EQ(adapter_->Wait(absl::Seconds(10)), 0);
}

}  // namespace
}  // namespace userprofile::testing
