#include "client/adapter/sender.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A service that answers each call on a thread of its own, as the test says.
class Service final : public client::ProfileClient {
 public:
  using Answer = std::function<absl::StatusOr<v1::UpsertUserResponse>(
      std::int64_t user, int call)>;

  ~Service() override { Join(); }

  void AnswerBy(Answer answer) { answer_ = std::move(answer); }

  // Waits for the calls under way.
  void Join() {
    for (;;) {
      std::vector<std::thread> threads;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        threads.swap(threads_);
      }
      if (threads.empty()) return;
      for (std::thread& thread : threads) thread.join();
    }
  }

  // The users of the calls so far.
  std::vector<std::int64_t> calls() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }

  bool overlapped() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return overlapped_;
  }

  void Start(const google::protobuf::MethodDescriptor&, Message request,
             client::Done<Message> done) override {
    const std::int64_t user =
        static_cast<const v1::UpsertUserRequest&>(*request).user_id();
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.push_back(user);
    const int call = ++counts_[user];
    if (!under_way_.insert(user).second) overlapped_ = true;
    threads_.emplace_back([this, user, call, done = std::move(done)]() mutable {
      auto answer = answer_(user, call);
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        under_way_.erase(user);
      }
      if (!answer.ok()) return done(answer.status());
      done(std::make_unique<v1::UpsertUserResponse>(*std::move(answer)));
    });
  }

 private:
  Answer answer_;
  std::mutex mutex_;  // protects what follows
  std::vector<std::int64_t> calls_;
  std::map<std::int64_t, int> counts_;
  std::set<std::int64_t> under_way_;
  bool overlapped_ = false;
  std::vector<std::thread> threads_;
};

absl::StatusOr<v1::UpsertUserResponse> Stored(std::int64_t user) {
  v1::UpsertUserResponse response;
  response.mutable_profile()->set_user_id(user);
  return response;
}

class SenderTest : public ::testing::Test {
 protected:
  std::vector<std::string> Tell(const std::vector<std::int64_t>& users,
                                absl::Duration patience) {
    std::vector<Update> updates;
    for (const std::int64_t user : users) {
      const auto id = static_cast<std::int64_t>(updates.size());
      updates.push_back(ReadUpdate(
          user == 0 ? absl::StrCat(R"({"update_id":)", id, R"(,"poll":{}})")
                    : MessageOf(user, id),
          /*bot=*/""));
    }
    std::vector<std::string> told;
    for (const Sender& sender :
         TellService(std::move(updates), service_, metrics_,
                     SteadyTime::Now() + patience, stop_)) {
      told.push_back(NameForBot(sender.recognized));
    }
    return told;
  }

  AdapterMetrics metrics_;
  StopEvent stop_;
  Service service_;
};

TEST_F(SenderTest, EachIsToldInTheUpdatesOrder) {
  service_.AnswerBy([](std::int64_t user, int) {
    absl::SleepFor(absl::Milliseconds(10 * (4 - user)));
    auto response = Stored(user);
    response->set_created(user == 1);
    response->mutable_profile()->set_onboarding_completed(user == 3);
    return response;
  });
  EXPECT_THAT(Tell({1, 2, 0, 3}, absl::Seconds(10)),
              ElementsAre("new", "returning", "ignored", "onboarded"));
  EXPECT_THAT(service_.calls(), UnorderedElementsAre(1, 2, 3));
  EXPECT_THAT(Tell({}, absl::Seconds(10)), IsEmpty());
}

TEST_F(SenderTest, ThoseOfOneUserGoOneAfterTheOther) {
  service_.AnswerBy([](std::int64_t user, int call) {
    absl::SleepFor(absl::Milliseconds(5));
    auto response = Stored(user);
    response->set_created(call == 1);
    return response;
  });
  EXPECT_THAT(Tell({5, 5, 6, 5}, absl::Seconds(10)),
              ElementsAre("new", "returning", "new", "returning"));
  EXPECT_FALSE(service_.overlapped());
}

// Else the second one would make the user, and the first be told of a known
// one.
TEST_F(SenderTest, OneThatCantBeStoredNowKeepsTheUsersLaterOnesWaiting) {
  std::atomic<bool> is_there = false;
  service_.AnswerBy([&](std::int64_t user, int call) {
    if (call == 1) {
      return absl::StatusOr<v1::UpsertUserResponse>(
          absl::UnavailableError("away"));
    }
    auto response = Stored(user);
    response->set_created(!is_there.exchange(true));
    return response;
  });
  EXPECT_THAT(Tell({5, 5, 5}, absl::Seconds(10)),
              ElementsAre("new", "returning", "returning"));
  EXPECT_EQ(service_.calls().size(), 4u);
}

TEST_F(SenderTest, WhatCantBeStoredNowGoesAgain) {
  service_.AnswerBy([](std::int64_t user, int call) {
    if (user == 2 && call < 4) {
      return absl::StatusOr<v1::UpsertUserResponse>(
          absl::UnavailableError("away"));
    }
    return Stored(user);
  });
  EXPECT_THAT(Tell({1, 2, 3}, absl::Seconds(10)),
              ElementsAre("returning", "returning", "returning"));
  EXPECT_THAT(service_.calls(), UnorderedElementsAre(1, 2, 2, 2, 2, 3));
  EXPECT_EQ(metrics_.Failing(), "");
}

TEST_F(SenderTest, InTimeOnlyTheFirstOnesWithoutAGapAreTold) {
  service_.AnswerBy([](std::int64_t user, int) {
    if (user == 3) {
      return absl::StatusOr<v1::UpsertUserResponse>(
          absl::UnavailableError("away"));
    }
    return Stored(user);
  });
  const SteadyTime begin = SteadyTime::Now();
  EXPECT_THAT(Tell({1, 2, 3, 4}, absl::Milliseconds(500)),
              ElementsAre("returning", "returning"));
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(5));
  EXPECT_THAT(Tell({3, 1}, absl::Milliseconds(100)), IsEmpty());
  EXPECT_THAT(Tell({3}, absl::Milliseconds(100)), IsEmpty());
  EXPECT_EQ(metrics_.Failing(), "service: away");
}

TEST_F(SenderTest, WhoNeverAnswersIsNotWaitedForAndMayAnswerLater) {
  StopEvent answer;
  service_.AnswerBy([&](std::int64_t user, int) {
    if (user == 1) answer.WaitFor(absl::Seconds(20));
    return Stored(user);
  });
  // The second of user 1 has not begun by then, and never does.
  EXPECT_THAT(Tell({2, 1, 1}, absl::Milliseconds(300)),
              ElementsAre("returning"));
  answer.Set();
  service_.Join();
  EXPECT_THAT(service_.calls(), UnorderedElementsAre(1, 2));
}

TEST_F(SenderTest, AStopWaitsForNobody) {
  StopEvent answer;
  service_.AnswerBy([&](std::int64_t user, int) {
    stop_.Set();
    answer.WaitFor(absl::Seconds(20));
    return Stored(user);
  });
  const SteadyTime begin = SteadyTime::Now();
  EXPECT_THAT(Tell({1}, absl::Seconds(20)), IsEmpty());
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(5));
  answer.Set();
}

TEST_F(SenderTest, WhatIsRefusedForGoodIsUnknownAndHoldsUpNobody) {
  service_.AnswerBy([](std::int64_t user, int) {
    if (user == 1) {
      return absl::StatusOr<v1::UpsertUserResponse>(
          absl::InvalidArgumentError("no"));
    }
    return Stored(user);
  });
  EXPECT_THAT(Tell({1, 2}, absl::Seconds(10)),
              ElementsAre("unknown", "returning"));
  EXPECT_EQ(metrics_.Failing(), "");
}

TEST_F(SenderTest, AProfileIsJsonOrLeftOut) {
  const Update update = ReadUpdate(MessageOf(7, 1), /*bot=*/"");
  EXPECT_THAT(SenderOf(update, Stored(7), metrics_)->profile,
              HasSubstr(R"("user_id":"7")"));
  auto response = Stored(7);
  response->mutable_profile()->mutable_created_at()->set_seconds(-1e12);
  EXPECT_EQ(SenderOf(update, response, metrics_)->profile, "");
}

}  // namespace
}  // namespace userprofile::adapter
