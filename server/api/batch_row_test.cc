#include "server/api/batch_row.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/api/testing.h"
#include "server/store/errors.h"
#include "tests/support/error_details.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BatchRowTest : public ::testing::Test {
 protected:
  void Add(std::int64_t user, const std::string& username) {
    v1::UpsertUserRequest& contact = *request_.add_requests();
    contact.set_user_id(user);
    contact.mutable_identity()->set_username(username);
  }

  // Carries the request out.
  void Act(store::CallTimes* times = nullptr) {
    row_.act(store_, &request_, &response_, {.times = times}, progress_,
             [this](absl::Status status) { answers_.push_back(status); });
  }

  // What became of each: "username, created", or the reason of its error.
  static std::vector<std::string> ResultsOf(
      const v1::BatchUpsertUsersResponse& response) {
    std::vector<std::string> results;
    for (const v1::UpsertUserResult& result : response.results()) {
      if (result.has_response()) {
        results.push_back(result.response().profile().username());
        continue;
      }
      google::rpc::ErrorInfo info;
      for (const auto& detail : result.error().details()) {
        if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
      }
      results.push_back(info.reason());
    }
    return results;
  }
  std::vector<std::string> Results() const { return ResultsOf(response_); }

  ops::Metrics metrics_;
  int created_ = 0;
  ScriptedStore store_;
  const MethodRow row_ =
      BatchRow<v1::BatchUpsertUsersRequest, v1::BatchUpsertUsersResponse>(
          "BatchUpsertUsers",
          Row<v1::UpsertUserRequest, v1::UpsertUserResponse>(
              "UpsertUser", store::Verb::kContact,
              &store::ProfileStore::Contact,
              [this](const auto& response) { created_ += response.created(); }),
          metrics_);
  v1::BatchUpsertUsersRequest request_;
  v1::BatchUpsertUsersResponse response_;
  Progress progress_;
  std::vector<absl::Status> answers_;
};

TEST_F(BatchRowTest, EachHasItsOwnAnswerOrError) {
  store_.contact = [](const auto& request, auto* response, auto, auto done) {
    if (request.user_id() == 2) return done(store::Overloaded());
    response->mutable_profile()->set_username(request.identity().username());
    response->set_created(request.user_id() == 3);
    done(absl::OkStatus());
  };
  Add(1, "ann");
  Add(2, "bob");
  Add(0, "nobody");
  Add(3, "cyd");
  Add(4, std::string(65, 'x'));
  Act();
  EXPECT_THAT(answers_, ElementsAre(absl::OkStatus()));
  EXPECT_THAT(Results(), ElementsAre("ann", "OVERLOADED", "INVALID_FIELDS",
                                     "cyd", "INVALID_FIELDS"));
  const google::rpc::Status& error = response_.results(2).error();
  EXPECT_EQ(error.code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(error.message(), HasSubstr("user_id must be"));

  // As if each had been a call.
  EXPECT_EQ(created_, 1);
  const std::string counted = metrics_.Text();
  for (const char* line :
       {"code=\"OK\",method=\"UpsertUser\"} 2\n",
        "code=\"INVALID_ARGUMENT\",method=\"UpsertUser\"} 2\n",
        "code=\"RESOURCE_EXHAUSTED\",method=\"UpsertUser\"} "
        "1\n"}) {
    EXPECT_THAT(counted, HasSubstr(line));
  }
}

TEST_F(BatchRowTest, IsAnsweredOnceAllAre) {
  std::vector<std::pair<store::CallTimes*, store::Done>> open;
  store_.contact = [&](const auto& request, auto* response, auto context,
                       auto done) {
    response->mutable_profile()->set_username(request.identity().username());
    open.emplace_back(context.times, std::move(done));
  };
  for (const int user : {1, 2, 3}) Add(user, "u" + std::to_string(user));
  store::CallTimes times;
  Act(&times);
  ASSERT_EQ(open.size(), 3u);
  for (const std::size_t next : {2, 0, 1}) {
    EXPECT_THAT(answers_, IsEmpty());
    *open[next].first = {absl::Seconds(next), absl::Seconds(10 - next)};
    open[next].second(absl::OkStatus());
  }
  EXPECT_THAT(answers_, ElementsAre(absl::OkStatus()));
  EXPECT_THAT(Results(), ElementsAre("u1", "u2", "u3"));
  EXPECT_EQ(times.queue, absl::Seconds(2));
  EXPECT_EQ(times.database, absl::Seconds(10));
}

TEST_F(BatchRowTest, AtTheDeadlineWhatIsDoneHasItsAnswer) {
  std::vector<store::Done> open;
  store_.contact = [&](const auto& request, auto* response, auto, auto done) {
    response->mutable_profile()->set_username(request.identity().username());
    if (request.user_id() == 3) return done(store::RowRejected());
    if (request.user_id() == 1) return done(absl::OkStatus());
    open.push_back(std::move(done));
  };
  EXPECT_EQ(progress_.done(), nullptr);
  for (const int user : {1, 2, 3}) Add(user, "u" + std::to_string(user));
  Act();
  EXPECT_THAT(answers_, IsEmpty());
  v1::BatchUpsertUsersResponse answer;
  row_.answer_in_part(response_, progress_, store::DeadlineExceeded(), &answer);
  EXPECT_THAT(ResultsOf(answer),
              ElementsAre("u1", "DEADLINE_EXCEEDED", "ROW_REJECTED"));
  EXPECT_THAT(progress_.failures(), ElementsAre(store::RowRejected()));
  open[0](absl::OkStatus());
  EXPECT_THAT(Results(), ElementsAre("u1", "u2", "ROW_REJECTED"));
}

// An error keeps nothing of what the store may have filled in.
TEST_F(BatchRowTest, AnErrorIsNoAnswerBesides) {
  store_.contact = [](const auto&, auto* response, auto, auto done) {
    response->mutable_profile()->set_username("someone");
    response->set_created(true);
    done(store::RowRejected());
  };
  Add(1, "ann");
  Act();
  EXPECT_TRUE(response_.results(0).has_error());
  EXPECT_EQ(response_.results(0).ByteSizeLong(),
            response_.results(0).error().ByteSizeLong() + 3);
  EXPECT_EQ(created_, 0);
}

}  // namespace
}  // namespace userprofile::api
