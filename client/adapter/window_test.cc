#include "client/adapter/window.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/adapter/stdin.h"
#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;

Update UpdateOf(std::int64_t user_id, std::int64_t update_id) {
  Line line;
  line.text = MessageOf(user_id, update_id);
  return ReadUpdateLine(std::move(line));
}

std::vector<std::int64_t> TakeAll(UpdateWindow& window) {
  window.Close();
  std::vector<std::int64_t> update_ids;
  for (auto outcomes = window.Take(); !outcomes.empty();
       outcomes = window.Take()) {
    for (const Outcome& outcome : outcomes) {
      update_ids.push_back(*outcome.update_id);
    }
  }
  return update_ids;
}

std::vector<std::string> Names(const std::vector<Outcome>& outcomes) {
  std::vector<std::string> result;
  for (const Outcome& outcome : outcomes) {
    result.push_back(NameOf(outcome.recognized));
  }
  return result;
}

TEST(UpdateWindowTest, OutcomesComeInTheOrderOfTheUpdates) {
  HeldService service;
  UpdateWindow window(10, RecognizeWith(service.recognizer()));
  window.Add(UpdateOf(1, 101));
  window.Add(UpdateOf(2, 102));
  window.Add(Update{});  // nobody's
  window.Add(UpdateOf(3, 104));
  service.Answer(3, client::Recognition::kNew);
  service.Answer(2, client::Recognition::kOnboarded);
  service.Answer(1, absl::UnavailableError("gone"));
  EXPECT_THAT(Names(window.Take()),
              ElementsAre("error", "onboarded", "ignored", "new"));
  window.Close();
  EXPECT_TRUE(window.Take().empty());
}

TEST(UpdateWindowTest, GivesOutWhatIsThereWithoutWaitingForMore) {
  HeldService service;
  UpdateWindow window(10, RecognizeWith(service.recognizer()));
  window.Add(UpdateOf(1, 101));
  window.Add(UpdateOf(2, 102));
  service.Answer(1);
  EXPECT_THAT(Names(window.Take()), ElementsAre("returning"));
  service.Answer(2);
  EXPECT_THAT(TakeAll(window), ElementsAre(102));
}

TEST(UpdateWindowTest, UsersUpdatesAreSentOneAfterTheOther) {
  HeldService service;
  UpdateWindow window(10, RecognizeWith(service.recognizer()));
  window.Add(UpdateOf(1, 101));
  window.Add(UpdateOf(1, 102));
  window.Add(UpdateOf(2, 103));
  window.Add(UpdateOf(1, 104));
  EXPECT_THAT(service.calls(), ElementsAre(1, 2));
  service.Answer(1);
  EXPECT_THAT(service.calls(), ElementsAre(1, 2, 1));
  service.Answer(1);
  EXPECT_THAT(service.calls(), ElementsAre(1, 2, 1, 1));
  service.Answer(2);
  service.Answer(1);
  EXPECT_FALSE(service.overlapped());
  EXPECT_THAT(TakeAll(window), ElementsAre(101, 102, 103, 104));
}

TEST(UpdateWindowTest, UsersNextUpdateIsSentAfterAnErrorToo) {
  HeldService service;
  UpdateWindow window(10, RecognizeWith(service.recognizer()));
  window.Add(UpdateOf(1, 101));
  window.Add(UpdateOf(1, 102));
  service.Answer(1, absl::UnavailableError("gone"));
  service.Answer(1, client::Recognition::kNew);
  EXPECT_THAT(Names(window.Take()), ElementsAre("error", "new"));
}

TEST(UpdateWindowTest, WaitsNoLongerThanItIsTold) {
  HeldService service;
  UpdateWindow window(10, RecognizeWith(service.recognizer()));
  window.Add(UpdateOf(1, 101));
  EXPECT_TRUE(window.Take(base::SteadyTime::Now()).empty());
  EXPECT_EQ(window.size(), 1u);
  service.Answer(1);
  EXPECT_THAT(TakeAll(window), ElementsAre(101));
}

TEST(UpdateWindowTest, AddWaitsWhileTheWindowIsFull) {
  HeldService service;
  UpdateWindow window(2, RecognizeWith(service.recognizer()));
  std::atomic<int> added{0};
  std::thread adder([&] {
    for (int i = 1; i <= 4; ++i) {
      window.Add(UpdateOf(i, i));
      ++added;
    }
  });
  service.AwaitCalls(2);
  service.Answer(2);  // which is not the oldest: the window stays full
  EXPECT_LE(added, 2);
  EXPECT_THAT(service.calls(), ElementsAre(1, 2));
  service.Answer(1);
  EXPECT_THAT(Names(window.Take()), ElementsAre("returning", "returning"));
  service.AwaitCalls(4);
  service.Answer(3);
  service.Answer(4);
  adder.join();
  EXPECT_THAT(TakeAll(window), ElementsAre(3, 4));
}

TEST(UpdateWindowTest, AnswersMayComeBeforeTheCallReturns) {
  UpdateWindow window(100, RecognizeWith([](const auto&, auto done) {
                        done(client::Recognition::kNew);
                      }));
  for (int i = 1; i <= 100; ++i) window.Add(UpdateOf(1, i));
  EXPECT_EQ(TakeAll(window).size(), 100u);
}

TEST(UpdateWindowTest, KeepsItsPromisesWithAnswersFromManyThreads) {
  constexpr int kUsers = 7;
  constexpr int kUpdates = 5000;
  HeldService service;
  UpdateWindow window(16, RecognizeWith(service.recognizer()));
  std::vector<std::thread> answerers;
  for (int user = 1; user <= kUsers; ++user) {
    answerers.emplace_back([&service, user] {
      for (int i = user; i <= kUpdates; i += kUsers) service.Answer(user);
    });
  }
  std::thread adder([&] {
    for (int i = 1; i <= kUpdates; ++i) {
      window.Add(UpdateOf((i - 1) % kUsers + 1, i));
    }
    window.Close();
  });
  std::int64_t expected = 0;
  for (auto outcomes = window.Take(); !outcomes.empty();
       outcomes = window.Take()) {
    for (const Outcome& outcome : outcomes) {
      ASSERT_EQ(outcome.update_id, ++expected);
    }
  }
  EXPECT_EQ(expected, kUpdates);
  EXPECT_FALSE(service.overlapped());
  adder.join();
  for (std::thread& answerer : answerers) answerer.join();
}

class TurnsTest : public ::testing::Test {
 protected:
  void Take(absl::optional<std::int64_t> user, char name) {
    turns_.Take(user, [this, name] { begun_ += name; });
  }

  Turns turns_;
  std::string begun_;
};

TEST_F(TurnsTest, AUserHasOneTurnAtATimeInTheOrderOfTaking) {
  for (const char name : {'a', 'b', 'c'}) Take(1, name);
  EXPECT_EQ(begun_, "a");
  turns_.GiveUp(1);
  EXPECT_EQ(begun_, "ab");
  turns_.GiveUp(1);
  turns_.GiveUp(1);
  Take(1, 'd');
  EXPECT_EQ(begun_, "abcd");
}

TEST_F(TurnsTest, OthersAndWhatIsOfNobodyDoNotWait) {
  Take(1, 'a');
  Take(2, 'b');
  Take(absl::nullopt, 'c');
  Take(absl::nullopt, 'd');
  EXPECT_EQ(begun_, "abcd");
  turns_.GiveUp(absl::nullopt);
}

}  // namespace
}  // namespace userprofile::adapter
