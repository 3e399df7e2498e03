// Dialogues that bots store go on where they were, whatever is killed; and the
// rest goes on without them.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/error_details.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

void SetDeadline(grpc::ClientContext& context) {
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(20));
}

grpc::Status Put(Stub& stub, const std::string& key, const std::string& value,
                 std::int64_t expected_revision,
                 v1::PutSessionResponse* response) {
  v1::PutSessionRequest request;
  request.mutable_session()->set_bot("school");
  request.mutable_session()->set_key(key);
  request.mutable_session()->set_value(value);
  request.set_expected_revision(expected_revision);
  grpc::ClientContext context;
  SetDeadline(context);
  return stub.PutSession(&context, request, response);
}

grpc::Status GetSession(Stub& stub, const std::string& key,
                        v1::GetSessionResponse* response) {
  v1::GetSessionRequest request;
  request.set_bot("school");
  request.set_key(key);
  grpc::ClientContext context;
  SetDeadline(context);
  return stub.GetSession(&context, request, response);
}

grpc::Status Forget(Stub& stub, const std::string& key) {
  v1::DeleteSessionRequest request;
  request.set_bot("school");
  request.set_key(key);
  request.set_allow_missing(true);  // the answer before may be lost
  v1::DeleteSessionResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return stub.DeleteSession(&context, request, &response);
}

grpc::Status DeleteUser(Stub& stub, std::int64_t user_id) {
  v1::DeleteUserRequest request;
  request.set_user_id(user_id);
  v1::DeleteUserResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return stub.DeleteUser(&context, request, &response);
}

// A bot that leads one dialogue after the other, of kSteps steps each, and
// trusts the service alone: what it holds itself is what was acknowledged.
class Dialogues {
 public:
  static constexpr int kSteps = 20;

  Dialogues(std::unique_ptr<Stub> stub, std::string key)
      : stub_(std::move(stub)), key_(std::move(key)) {}
  ~Dialogues() { Stop(); }

  void Begin() {
    stopping_ = false;
    thread_ = std::thread([this] {
      while (!stopping_) Step();
    });
  }
  void Stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  int acknowledged() const { return acknowledged_; }

  // What is stored is what was acknowledged last, or the step under way.
  void Check() {
    v1::GetSessionResponse got;
    grpc::Status status;
    EXPECT_TRUE(Eventually([&] {
      status = GetSession(*stub_, key_, &got);
      return status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND;
    })) << status.error_message();
    int stored = 0;  // none
    if (status.ok()) {
      EXPECT_TRUE(absl::SimpleAtoi(got.session().value(), &stored)) << key_;
    }
    if (!under_way_) {
      EXPECT_EQ(stored, step_) << key_;
      EXPECT_EQ(got.session().revision(), revision_) << key_;
    } else {
      EXPECT_THAT(stored, ::testing::AnyOf(step_, (step_ + 1) % kSteps))
          << key_;
    }
    step_ = stored;
    revision_ = got.session().revision();
    under_way_ = false;
  }

 private:
  // One step on; after an error it looks what is stored, as a bot would.
  void Step() {
    under_way_ = true;
    const int next = (step_ + 1) % kSteps;
    v1::PutSessionResponse put;
    const grpc::Status status =
        next == 0 ? Forget(*stub_, key_)
                  : Put(*stub_, key_, absl::StrCat(next), revision_, &put);
    if (!status.ok()) return Check();
    if (next != 0) EXPECT_GT(put.revision(), last_revision_) << key_;
    step_ = next;
    revision_ = put.revision();
    if (next != 0) last_revision_ = revision_;
    under_way_ = false;
    ++acknowledged_;
  }

  const std::unique_ptr<Stub> stub_;
  const std::string key_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> acknowledged_ = 0;
  std::thread thread_;

  // Of the thread, while there is one.
  int step_ = 0;
  std::int64_t revision_ = 0;  // 0: none is stored
  std::int64_t last_revision_ = 0;
  bool under_way_ = false;  // a step whose outcome is not known
};

TEST(SessionStoryTest, NoDialogueLosesAStepWhateverIsKilled) {
  constexpr int kBots = 8;
  constexpr int kRounds = 6;
  TempDir directory;
  ServerProgram server(absl::StrCat("embedded:", directory / "database"));
  server.StartReady();
  std::vector<std::unique_ptr<Dialogues>> bots;
  for (int i = 0; i < kBots; ++i) {
    bots.push_back(std::make_unique<Dialogues>(server.NewStub(),
                                               absl::StrCat("chat:", i)));
    bots.back()->Begin();
  }
  const auto all_go_on = [&] {
    std::vector<int> before;
    for (const auto& bot : bots) before.push_back(bot->acknowledged());
    return Eventually(
        [&] {
          for (int i = 0; i < kBots; ++i) {
            if (bots[i]->acknowledged() < before[i] + 2 * Dialogues::kSteps) {
              return false;
            }
          }
          return true;
        },
        absl::Seconds(60));
  };
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(all_go_on()) << round;
    server.program().Kill();
    server.StartReady();
  }
  ASSERT_TRUE(all_go_on());
  for (const auto& bot : bots) bot->Stop();
  for (const auto& bot : bots) bot->Check();

  // The bots are killed, too, as it were: all that is left is on disk.
  server.program().Kill();
  server.StartReady();
  for (const auto& bot : bots) bot->Check();
}

class SessionTableTest : public ::testing::Test {
 protected:
  SessionTableTest() { server_.StartReady(); }

  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
};

TEST_F(SessionTableTest, IsMissedByDialoguesAloneUntilItIsMended) {
  constexpr std::int64_t kUsers = 50;
  const auto stub = server_.NewStub();
  StoreUsers(*stub, kUsers + 2);
  v1::PutSessionResponse put;
  ASSERT_TRUE(Put(*stub, "chat:1", "1", 0, &put).ok());
  const auto load = StartLoad(server_, 4, kUsers);

  database_.Execute("DROP TABLE userprofile_sessions");
  for (int i = 0; i < 3; ++i) {
    const grpc::Status refused = Put(*stub, "chat:1", "2", 0, &put);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(ReasonOf(refused), "SCHEMA_NOT_READY");
  }
  v1::GetSessionResponse got;
  EXPECT_EQ(ReasonOf(GetSession(*stub, "chat:1", &got)), "SCHEMA_NOT_READY");
  EXPECT_EQ(ReasonOf(Forget(*stub, "chat:1")), "SCHEMA_NOT_READY");
  EXPECT_EQ(ReasonOf(DeleteUser(*stub, kUsers + 1)), "SCHEMA_NOT_READY");
  EXPECT_EQ(server_.Get("/readyz").code, 200);
  const int served = load->ok();
  EXPECT_TRUE(Eventually([&] { return load->ok() > served + 100; }));

  const Outcome repaired =
      RunProgram({{"userprofile-server", "schema", "repair", "--no-backup",
                   "--database", database_.conninfo()},
                  {},
                  ""});
  EXPECT_EQ(repaired.exit_code, 0) << repaired.output << repaired.errors;
  grpc::Status stored;
  EXPECT_TRUE(Eventually([&] {
    stored = Put(*stub, "chat:1", "3", 0, &put);
    return stored.ok();
  })) << stored.error_message();
  ASSERT_TRUE(GetSession(*stub, "chat:1", &got).ok());
  EXPECT_EQ(got.session().value(), "3");
  EXPECT_TRUE(DeleteUser(*stub, kUsers + 1).ok());

  const Load::Tally tally = load->Stop();
  EXPECT_EQ(tally.created, 0);
  EXPECT_EQ(tally.not_found, 0);
  EXPECT_TRUE(tally.failures.empty()) << tally.failures.begin()->first << ": "
                                      << tally.failures.begin()->second;
}

}  // namespace
}  // namespace userprofile::testing
