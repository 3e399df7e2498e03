// Many contacts by one call are as many contacts.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/error_details.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;

class BatchTest : public ::testing::Test {
 protected:
  BatchTest() { server_.StartReady(); }

  grpc::Status Upsert(const v1::BatchUpsertUsersRequest& request,
                      v1::BatchUpsertUsersResponse* response) {
    grpc::ClientContext context;
    return server_.NewStub()->BatchUpsertUsers(&context, request, response);
  }

  const TempDir directory_;
  ServerProgram server_{absl::StrCat("embedded:", directory_ / "data"), {}};
};

// A thousand contacts of usual size fit into one message. Those of one user
// have their effects one after the other.
TEST_F(BatchTest, EachContactHasItsOwnEffectAndAnswer) {
  v1::BatchUpsertUsersRequest request;
  for (int i = 0; i < 1000; ++i) {
    v1::UpsertUserRequest& contact = *request.add_requests();
    contact.set_user_id(7'000'000'000 + i % 400);
    v1::Identity& identity = *contact.mutable_identity();
    identity.set_username(absl::StrCat("someone_", i));
    identity.set_first_name(absl::StrCat("Name ", i));
    identity.set_last_name("Lastname");
    identity.set_language_code("pt-BR");
    contact.mutable_occurred_at()->set_seconds(1760000000 + i);
  }
  request.mutable_requests(500)->set_user_id(0);
  ASSERT_LT(request.ByteSizeLong(), 96u << 10);

  v1::BatchUpsertUsersResponse response;
  const grpc::Status status = Upsert(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.results_size(), 1000);
  std::map<std::int64_t, int> contacts;
  for (int i = 0; i < 1000; ++i) {
    const v1::UpsertUserResult& result = response.results(i);
    if (i == 500) {
      EXPECT_EQ(result.error().code(), grpc::StatusCode::INVALID_ARGUMENT);
      continue;
    }
    ASSERT_TRUE(result.has_response()) << result.error().message();
    const v1::Profile& profile = result.response().profile();
    EXPECT_EQ(profile.user_id(), request.requests(i).user_id());
    EXPECT_EQ(profile.username(), absl::StrCat("someone_", i));
    const int before = contacts[profile.user_id()]++;
    EXPECT_EQ(result.response().created(), before == 0);
    EXPECT_EQ(profile.revision(), before + 1);
  }
  const std::string metrics = server_.Get("/metrics").body;
  for (const char* line :
       {"rpc_requests_total{code=\"OK\",method=\"BatchUpsertUsers\"} 1\n",
        "rpc_requests_total{code=\"OK\",method=\"UpsertUser\"} 999\n",
        "recognitions_total{outcome=\"created\"} 400\n",
        "recognitions_total{outcome=\"returning\"} 599\n"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
}

// One whose row somebody holds keeps the others' answers from nobody: who is
// new would never be heard of as new again.
TEST(BatchOfOneSlowTest, TheOthersHaveTheirAnswersAtTheDeadline) {
  const TestDatabase database;
  ServerProgram server(database.conninfo(), {"--migrate"});
  server.StartReady();
  const auto stub = server.NewStub();
  v1::UpsertUserResponse held;
  ASSERT_TRUE(testing::Upsert(*stub, 1, &held).ok());
  const auto holder = database.Connect();
  ASSERT_TRUE(holder
                  ->ExecuteScript("BEGIN; SELECT FROM public.users"
                                  " WHERE user_id = 1 FOR UPDATE")
                  .ok());

  v1::BatchUpsertUsersRequest request;
  for (int user = 1; user <= 20; ++user) {
    request.add_requests()->set_user_id(user);
  }
  v1::BatchUpsertUsersResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(15));
  const grpc::Status status =
      stub->BatchUpsertUsers(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.results_size(), 20);
  EXPECT_TRUE(response.results(0).has_error());
  for (int i = 1; i < 20; ++i) {
    EXPECT_TRUE(response.results(i).response().created())
        << response.results(i).error().message();
  }
  EXPECT_THAT(server.program().errors(), HasSubstr("BatchUpsertUsers"));
}

TEST_F(BatchTest, HoldsOneToAThousand) {
  for (const int count : {0, 1001}) {
    v1::BatchUpsertUsersRequest request;
    for (int i = 1; i <= count; ++i) request.add_requests()->set_user_id(i);
    v1::BatchUpsertUsersResponse response;
    const grpc::Status status = Upsert(request, &response);
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELDS") << status.error_message();
  }
}

}  // namespace
}  // namespace userprofile::testing
