// Going through all users while others write.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/error_details.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

constexpr std::int64_t kUsers = 5000;  // 10, 20, ...: those who stay

class ListTest : public ::testing::Test {
 protected:
  ListTest() {
    server_.StartReady();
    other_server_.StartReady();
    database_.Execute(absl::StrCat(
        "INSERT INTO users (user_id, language_code)"
        " SELECT 10 * n, CASE WHEN n % 100 = 0 THEN 'fa' ELSE 'en' END"
        " FROM generate_series(1, ",
        kUsers, ") AS n"));
  }

  grpc::Status List(Stub& stub, const v1::ListProfilesRequest& request,
                    v1::ListProfilesResponse* page) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(20));
    return stub.ListProfiles(&context, request, page);
  }

  std::int64_t Count(Stub& stub, const v1::CountProfilesRequest& request) {
    grpc::ClientContext context;
    v1::CountProfilesResponse response;
    const grpc::Status status =
        stub.CountProfiles(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.count();
  }

  const TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
  ServerProgram other_server_{database_.conninfo()};
};

// Each page from the other one of two servers.
TEST_F(ListTest, AWalkSeesEverybodyWhoStaysExactlyOnce) {
  std::atomic<bool> stop = false;
  std::atomic<int> writes = 0;
  std::thread bot([&] {  // new users, and known ones
    const auto stub = server_.NewStub();
    for (std::int64_t n = 0; !stop; ++n) {
      v1::UpsertUserResponse response;
      const std::int64_t user = n * 7919 % (10 * kUsers) + 1;
      EXPECT_TRUE(Upsert(*stub, user, &response).ok());
      ++writes;
    }
  });
  std::thread others([&] {  // rows that come, move and go beside
    for (int n = 0; !stop; ++n) {
      database_.Execute(absl::StrCat(
          "UPDATE users SET first_name = 'n", n,
          "' WHERE user_id % 10 = 0 AND user_id / 10 % 50 = ", n % 50,
          ";DELETE FROM users WHERE user_id % 10 <> 0 AND user_id % 3 = ",
          n % 3));
      ++writes;
    }
  });
  int walks = 0;
  while (walks < 5 || writes < 200) {
    const auto stub = server_.NewStub();
    const auto other_stub = other_server_.NewStub();
    v1::ListProfilesRequest request;
    request.set_page_size(97);
    v1::ListProfilesResponse page;
    std::int64_t last = 0;
    std::int64_t stayed = 0;
    bool turn = false;
    do {
      turn = !turn;
      const grpc::Status status =
          List(turn ? *stub : *other_stub, request, &page);
      ASSERT_TRUE(status.ok()) << status.error_message();
      for (const v1::Profile& profile : page.profiles()) {
        ASSERT_GT(profile.user_id(), last);
        last = profile.user_id();
        if (last % 10 == 0) {
          ASSERT_EQ(last, 10 * ++stayed);
        }
      }
      request.set_page_token(page.next_page_token());
    } while (!page.next_page_token().empty());
    EXPECT_EQ(stayed, kUsers);
    ++walks;
  }
  stop = true;
  bot.join();
  others.join();
}

TEST_F(ListTest, ATokenOutlivesItsServerButNotItsDatabase) {
  v1::ListProfilesRequest request;
  request.set_page_size(2);
  request.mutable_filter()->set_language_code("fa");
  v1::ListProfilesResponse page;
  ASSERT_TRUE(List(*server_.NewStub(), request, &page).ok());
  ASSERT_EQ(page.profiles_size(), 2);
  EXPECT_EQ(page.profiles(1).user_id(), 2000);
  request.set_page_token(page.next_page_token());

  server_.program().Signal(SIGKILL);
  server_.program().Wait();
  server_.StartReady();
  ASSERT_TRUE(List(*server_.NewStub(), request, &page).ok());
  ASSERT_EQ(page.profiles_size(), 2);
  EXPECT_EQ(page.profiles(0).user_id(), 3000);

  const TestDatabase elsewhere;
  ServerProgram stranger(elsewhere.conninfo(), {"--migrate"});
  stranger.StartReady();
  const grpc::Status status = List(*stranger.NewStub(), request, &page);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELDS");
}

TEST_F(ListTest, CountsWhoPasses) {
  v1::CountProfilesRequest request;
  EXPECT_EQ(Count(*server_.NewStub(), request), kUsers);
  request.mutable_filter()->set_language_code("fa");
  EXPECT_EQ(Count(*server_.NewStub(), request), kUsers / 100);
  request.mutable_filter()->set_nickname_prefix("nobody");
  EXPECT_EQ(Count(*server_.NewStub(), request), 0);
}

// All that needs no token goes on without its key, and says so.
TEST_F(ListTest, WithoutAKeyOnlyPagesAreMissed) {
  database_.Execute("DROP TABLE userprofile_token_key");
  v1::ListProfilesResponse page;
  const grpc::Status status = List(*server_.NewStub(), {}, &page);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "TOKENS_UNAVAILABLE");
  EXPECT_EQ(Count(*server_.NewStub(), {}), kUsers);
  v1::UpsertUserResponse upserted;
  EXPECT_TRUE(Upsert(*server_.NewStub(), 10, &upserted).ok());
  EXPECT_EQ(server_.Get("/readyz").code, 200);
  EXPECT_EQ(RunProgram({{"userprofile-server", "schema", "repair",
                         "--no-backup", "--database", database_.conninfo()}})
                .exit_code,
            0);
  EXPECT_TRUE(List(*server_.NewStub(), {}, &page).ok());
}

}  // namespace
}  // namespace userprofile::testing
