#include "client/adapter/batching_client.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The service's answer to a contact: the user's number as revision.
v1::UpsertUserResponse Known(std::int64_t user) {
  v1::UpsertUserResponse response;
  response.mutable_profile()->set_revision(user);
  return response;
}

absl::Status Overloaded() {
  google::rpc::ErrorInfo info;
  info.set_reason("OVERLOADED");
  absl::Status status = absl::ResourceExhaustedError("too much");
  status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo",
                    absl::Cord(info.SerializeAsString()));
  return status;
}

// A service whose calls the test answers.
class BatchingClientTest : public ::testing::Test {
 protected:
  struct Sent {
    std::string method;
    client::ProfileClient::Message request;
    client::Done<client::ProfileClient::Message> done;
  };

  class Service final : public client::ProfileClient {
   public:
    explicit Service(std::deque<Sent>* calls) : calls_(calls) {}

    void Start(const google::protobuf::MethodDescriptor& method,
               Message request, client::Done<Message> done) override {
      calls_->push_back({method.name(), std::move(request), std::move(done)});
    }

   private:
    std::deque<Sent>* const calls_;
  };

  void Contact(std::int64_t user) {
    v1::UpsertUserRequest request;
    request.set_user_id(user);
    client_.UpsertUser(
        std::move(request),
        [this, user](absl::StatusOr<v1::UpsertUserResponse> response) {
          if (response.ok()) {
            EXPECT_EQ(response->profile().revision(), user);
          }
          answers_.push_back(absl::StrCat(
              user, " ", absl::StatusCodeToString(response.status().code())));
        });
  }

  // As many calls as there may be, so that what comes has to wait.
  void Occupy() {
    for (int user = 1; user <= 8; ++user) Contact(user);
    EXPECT_THAT(calls_, SizeIs(8));
  }

  // The users of a call that brings contacts; negative for one alone.
  static std::vector<std::int64_t> UsersOf(const Sent& call) {
    std::vector<std::int64_t> users;
    if (call.method == "UpsertUser") {
      users.push_back(
          -static_cast<v1::UpsertUserRequest&>(*call.request).user_id());
    } else if (call.method == "BatchUpsertUsers") {
      for (const auto& contact :
           static_cast<v1::BatchUpsertUsersRequest&>(*call.request)
               .requests()) {
        users.push_back(contact.user_id());
      }
    }
    return users;
  }

  // The oldest call.
  Sent TakeNext() {
    Sent call = std::move(calls_.front());
    calls_.pop_front();
    return call;
  }

  // Answers the oldest call as the service would, but for users with an error.
  void AnswerNext(const std::map<std::int64_t, absl::Status>& errors = {}) {
    Sent call = TakeNext();
    const auto error_of = [&](std::int64_t user) {
      const auto found = errors.find(user);
      return found == errors.end() ? absl::OkStatus() : found->second;
    };
    if (call.method == "UpsertUser") {
      const std::int64_t user = -UsersOf(call).front();
      if (!error_of(user).ok()) return call.done(error_of(user));
      return call.done(std::make_unique<v1::UpsertUserResponse>(Known(user)));
    }
    auto response = std::make_unique<v1::BatchUpsertUsersResponse>();
    for (const std::int64_t user : UsersOf(call)) {
      v1::UpsertUserResult& result = *response->add_results();
      const absl::Status error = error_of(user);
      if (error.ok()) {
        *result.mutable_response() = Known(user);
      } else {
        result.mutable_error()->set_code(static_cast<int>(error.code()));
      }
    }
    call.done(std::move(response));
  }

  // The only call is a batch, of users 11 and 12, and gets that answer.
  void AnswerABatch(absl::StatusOr<client::ProfileClient::Message> answer) {
    Occupy();
    for (const int user : {11, 12}) Contact(user);
    while (calls_.size() > 1) AnswerNext();
    answers_.clear();
    TakeNext().done(std::move(answer));
  }

  std::deque<Sent> calls_;  // that are not answered
  std::vector<std::string> answers_;
  base::SteadyTime now_ = base::SteadyTime::Now();
  BatchingClient client_{std::make_unique<Service>(&calls_), absl::Seconds(10),
                         [this] { return now_; }};
};

TEST_F(BatchingClientTest, ALoneContactGoesAtOnceAndAlone) {
  Contact(7);
  ASSERT_THAT(calls_, SizeIs(1));
  EXPECT_THAT(UsersOf(calls_[0]), ElementsAre(-7));
  AnswerNext();
  EXPECT_THAT(answers_, ElementsAre("7 OK"));
}

TEST_F(BatchingClientTest, ThoseThatWaitGoTogetherInTheirOrder) {
  Occupy();
  for (int user = 11; user <= 13; ++user) Contact(user);
  AnswerNext();
  ASSERT_THAT(calls_, SizeIs(8));
  EXPECT_THAT(UsersOf(calls_.back()), ElementsAre(11, 12, 13));
  while (!calls_.empty()) AnswerNext({{12, absl::InvalidArgumentError("")}});
  EXPECT_THAT(answers_, ElementsAre("1 OK", "2 OK", "3 OK", "4 OK", "5 OK",
                                    "6 OK", "7 OK", "8 OK", "11 OK",
                                    "12 INVALID_ARGUMENT", "13 OK"));
}

TEST_F(BatchingClientTest, FewAreSentTogether) {
  Occupy();
  for (int user = 101; user <= 140; ++user) Contact(user);
  for (const std::size_t size : {16, 16, 8}) {
    AnswerNext();
    EXPECT_THAT(UsersOf(calls_.back()), SizeIs(size));
  }
  while (!calls_.empty()) AnswerNext();
  EXPECT_THAT(answers_, SizeIs(8 + 40));
}

TEST_F(BatchingClientTest, WhoWaitedForTheTimeoutIsToldSo) {
  Occupy();
  Contact(11);
  now_ = now_ + absl::Seconds(5);
  Contact(12);
  now_ = now_ + absl::Seconds(5);
  answers_.clear();
  AnswerNext();
  EXPECT_THAT(answers_, ElementsAre("1 OK", "11 DEADLINE_EXCEEDED"));
  EXPECT_THAT(UsersOf(calls_.back()), ElementsAre(-12));
  while (!calls_.empty()) AnswerNext();
}

TEST_F(BatchingClientTest, WhatABatchCouldNotDoForNowGoesAgainAlone) {
  Occupy();
  for (int user = 11; user <= 14; ++user) Contact(user);
  while (calls_.size() > 1) AnswerNext();
  answers_.clear();
  AnswerNext({{12, absl::UnavailableError("")},
              {13, absl::CancelledError()},
              {14, absl::ResourceExhaustedError("")}});
  EXPECT_THAT(answers_, ElementsAre("11 OK", "14 RESOURCE_EXHAUSTED"));
  ASSERT_THAT(calls_, SizeIs(2));
  EXPECT_THAT(UsersOf(calls_[0]), ElementsAre(-12));
  EXPECT_THAT(UsersOf(calls_[1]), ElementsAre(-13));
  AnswerNext();
  AnswerNext({{13, absl::UnavailableError("")}});
  EXPECT_THAT(answers_, ElementsAre("11 OK", "14 RESOURCE_EXHAUSTED", "12 OK",
                                    "13 UNAVAILABLE"));
}

TEST_F(BatchingClientTest, AServerThatTakesNoSuchBatchGetsThemAlone) {
  for (const absl::Status& refusal :
       {absl::ResourceExhaustedError("larger than max"),
        absl::FailedPreconditionError("")}) {
    AnswerABatch(refusal);
    EXPECT_THAT(answers_, IsEmpty());
    ASSERT_THAT(calls_, SizeIs(2)) << refusal;
    while (!calls_.empty()) AnswerNext();
    EXPECT_THAT(answers_, ElementsAre("11 OK", "12 OK"));
  }
}

TEST_F(BatchingClientTest, AServerThatDoesNotKnowBatchesIsAskedAgainLater) {
  AnswerABatch(absl::UnimplementedError(""));
  ASSERT_THAT(calls_, SizeIs(2));
  for (int user = 21; user <= 40; ++user) Contact(user);
  EXPECT_THAT(calls_, SizeIs(22));
  while (!calls_.empty()) AnswerNext();
  now_ = now_ + absl::Minutes(1);
  Occupy();
  for (const int user : {11, 12}) Contact(user);
  AnswerNext();
  EXPECT_THAT(UsersOf(calls_.back()), ElementsAre(11, 12));
  while (!calls_.empty()) AnswerNext();
}

TEST_F(BatchingClientTest, ABatchThatFailsFailsEachOfIt) {
  for (const absl::Status& failure :
       {absl::UnavailableError(""), absl::DeadlineExceededError(""),
        Overloaded(), absl::UnauthenticatedError("")}) {
    AnswerABatch(failure);
    const std::string code = absl::StatusCodeToString(failure.code());
    EXPECT_THAT(answers_, ElementsAre("11 " + code, "12 " + code));
    EXPECT_THAT(calls_, IsEmpty());
  }
}

// A server that answers less than it was asked.
TEST_F(BatchingClientTest, WhoHasNoAnswerGoesAlone) {
  auto response = std::make_unique<v1::BatchUpsertUsersResponse>();
  *response->add_results()->mutable_response() = Known(11);
  AnswerABatch(std::move(response));
  ASSERT_THAT(calls_, SizeIs(1));
  EXPECT_THAT(UsersOf(calls_[0]), ElementsAre(-12));
  AnswerNext();
  EXPECT_THAT(answers_, ElementsAre("11 OK", "12 OK"));
}

TEST_F(BatchingClientTest, OtherCallsGoAsTheyAre) {
  Occupy();
  v1::GetProfileRequest request;
  request.set_user_id(9);
  client_.GetProfile(request, [](auto) {});
  EXPECT_EQ(calls_.back().method, "GetProfile");
  calls_.back().done(absl::UnavailableError("away"));
  calls_.pop_back();
  while (!calls_.empty()) AnswerNext();
}

}  // namespace
}  // namespace userprofile::adapter
