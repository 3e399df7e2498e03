// A watch as somebody keeps it who has a copy of all users: killed again and
// again, on two servers, while others write, and while the database is killed.
// The copy ends as the table is, and never goes back.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::UnorderedElementsAreArray;

constexpr int kWriters = 3;
constexpr int kBatch = 100;
constexpr int kUsers = 500;

using Stub = v1::UserProfileService::Stub;

// Of each user the revision and the name.
using Users = std::map<std::int64_t, std::pair<std::int64_t, std::string>>;

class WatchStoryTest : public ::testing::Test {
 protected:
  WatchStoryTest() {
    for (ServerProgram& server : servers_) server.StartReady();
  }

  // Renames users until there were so many changes.
  void Write(int writer, int changes) {
    std::mt19937 random(writer);
    const auto stub = servers_[writer % 2].NewStub();
    for (int done = 0; done < changes;) {
      v1::BatchUpsertUsersRequest request;
      for (int i = 0; i < kBatch; ++i) {
        v1::UpsertUserRequest& contact = *request.add_requests();
        contact.set_user_id(1 + (random() + i) % kUsers);
        contact.mutable_identity()->set_first_name(
            absl::StrCat(writer, ".", done + i));
      }
      v1::BatchUpsertUsersResponse response;
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      if (!stub->BatchUpsertUsers(&context, request, &response).ok()) continue;
      if (users_go_) {
        v1::DeleteUserRequest gone;
        gone.set_user_id(1 + random() % kUsers);
        v1::DeleteUserResponse deleted;
        grpc::ClientContext another;
        (void)stub->DeleteUser(&another, gone, &deleted);
      }
      for (int i = 0; i < kBatch; ++i) {
        if (!response.results(i).has_response()) continue;
        const v1::Profile& profile = response.results(i).response().profile();
        ++done;
        if (users_go_) continue;  // and begin with revision 1 again
        auto& acknowledged = acknowledged_[writer][profile.user_id()];
        acknowledged = std::max(acknowledged, profile.revision());
      }
    }
  }

  // How often all users were written.
  std::int64_t Revisions() {
    return database_.Execute("SELECT coalesce(sum(revision), 0) FROM users")
        .Int64(0, 0);
  }

  Users Stored() {
    const postgres::Rows rows =
        database_.Execute("SELECT user_id, revision, first_name FROM users");
    Users users;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      users[rows.Int64(row, 0)] = {rows.Int64(row, 1),
                                   std::string(rows.Text(row, 2))};
    }
    return users;
  }

  // Goes through all users, who change meanwhile, and takes the token to watch
  // from.
  void List() {
    const auto stub = servers_[0].NewStub();
    v1::ListProfilesRequest request;
    request.set_page_size(20);
    do {
      grpc::ClientContext context;
      v1::ListProfilesResponse page;
      const grpc::Status status = stub->ListProfiles(&context, request, &page);
      ASSERT_TRUE(status.ok()) << status.error_message();
      ASSERT_EQ(page.watch_token().empty(), !request.page_token().empty());
      if (request.page_token().empty()) token_ = page.watch_token();
      for (const v1::Profile& profile : page.profiles()) {
        copy_[profile.user_id()] = {profile.revision(), profile.first_name()};
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
  }

  // Follows the changes, by watches that it breaks off, each after some events,
  // until `kills` were broken off and all is as it is stored.
  void Watch(int kills) {
    std::mt19937 random(7);
    if (users_go_) {
      started_ = true;
      ASSERT_TRUE(Eventually([&] { return Revisions() > kUsers; }));
      List();
    }
    for (int n = 0; !HasFailure(); ++n) {
      const auto stub = servers_[n % 2].NewStub();
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      v1::WatchProfilesRequest request;
      if (!token_.empty()) request.set_resume_token(token_);
      const auto reader = stub->WatchProfiles(&context, request);
      int events = 1 + static_cast<int>(random() % 300);
      bool is_broken_off = false;
      v1::WatchProfilesResponse event;
      while (reader->Read(&event)) {
        Take(event);
        started_ = true;
        // Writers that are through tell nothing more to be killed between.
        is_broken_off = broken_off_ < kills && (--events <= 0 || written_);
        if (is_broken_off) break;
        if (broken_off_ >= kills && IsAsStored()) break;
      }
      context.TryCancel();
      while (reader->Read(&event)) {
      }
      const grpc::Status status = reader->Finish();
      ASSERT_NE(status.error_code(), grpc::StatusCode::OUT_OF_RANGE)
          << status.error_message();
      if (is_broken_off) ++broken_off_;
      if (broken_off_ >= kills && IsAsStored()) return;
    }
  }

  void Take(const v1::WatchProfilesResponse& event) {
    ASSERT_NE(event.resume_token(), "");
    token_ = event.resume_token();
    if (event.deleted_user_id() != 0) copy_.erase(event.deleted_user_id());
    if (!event.has_profile()) return;
    ++told_;
    const v1::Profile& profile = event.profile();
    auto& [revision, name] = copy_[profile.user_id()];
    EXPECT_GE(profile.revision(), revision) << profile.user_id();
    revision = profile.revision();
    name = profile.first_name();
  }

  bool IsAsStored() {
    if (!written_) return false;
    if (!stored_.has_value()) stored_ = Stored();
    return copy_ == *stored_;
  }

  void Follow(int changes, int kills, const std::function<void()>& meanwhile) {
    std::thread watch([&] { Watch(kills); });
    EXPECT_TRUE(Eventually([&] { return started_.load(); }));
    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([&, i] { Write(i, changes / kWriters); });
    }
    meanwhile();
    for (std::thread& writer : writers) writer.join();
    written_ = true;
    watch.join();
    EXPECT_THAT(copy_, UnorderedElementsAreArray(Stored()));
    EXPECT_GT(copy_.size(), kUsers / 2);
    EXPECT_EQ(broken_off_, kills);
    for (const auto& acknowledged : acknowledged_) {
      for (const auto& [user, revision] : acknowledged) {
        EXPECT_GE(copy_[user].first, revision) << user;
      }
    }
    RecordProperty("events", told_);
  }

  TestDatabase database_;
  ServerProgram servers_[2] = {
      ServerProgram(database_.conninfo(), {"--migrate"}),
      ServerProgram(database_.conninfo(), {"--migrate"})};
  std::map<std::int64_t, std::int64_t> acknowledged_[kWriters];
  bool users_go_ = false;  // some are deleted, and the copy begins as a list
  std::atomic<bool> started_{false};
  std::atomic<bool> written_{false};

  // The watch's own.
  std::string token_;
  Users copy_;
  std::optional<Users> stored_;
  int told_ = 0;
  int broken_off_ = 0;
};

TEST_F(WatchStoryTest, MissesNothingHoweverOftenItIsKilled) {
  Follow(50'000, 50, [] {});
}

TEST_F(WatchStoryTest, MissesNothingThoughTheDatabaseIsKilled) {
  Follow(15'000, 10, [this] {
    for (int i = 0; i < 5; ++i) {
      const std::int64_t before = Revisions();
      database_.KillServer();
      ASSERT_TRUE(Eventually([&] { return Revisions() > before || written_; }));
    }
  });
}

TEST_F(WatchStoryTest, JoinsAListWithoutAGapWhileUsersComeAndGo) {
  users_go_ = true;
  Follow(10'000, 10, [] {});
}

// Of a bot that died in the middle of something, say.
TEST_F(WatchStoryTest, MissesNothingWhileATransactionIsLeftOpen) {
  Follow(3'000, 3, [this] {
    const auto open = database_.Connect();
    ASSERT_TRUE(open->ExecuteScript("BEGIN; CREATE TABLE left_open ()").ok());
    const std::int64_t before = Revisions();
    ASSERT_TRUE(Eventually([&] { return Revisions() > before + 500; }));
    ASSERT_TRUE(open->ExecuteScript("COMMIT").ok());
  });
}

}  // namespace
}  // namespace userprofile::testing
