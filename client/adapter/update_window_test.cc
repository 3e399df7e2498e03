#include "client/adapter/update_window.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;

UpdateLine Update(std::int64_t user_id, std::int64_t update_id) {
  Line line;
  line.text = MessageOf(user_id, update_id);
  return ReadUpdateLine(line);
}

std::vector<std::int64_t> TakeAll(UpdateWindow& window) {
  window.Close();
  std::vector<std::int64_t> update_ids;
  while (const auto outcome = window.Next()) {
    update_ids.push_back(*outcome->update_id);
  }
  return update_ids;
}

TEST(UpdateWindowTest, OutcomesComeInTheOrderOfTheUpdates) {
  HeldService service;
  UpdateWindow window(10, service.recognizer());
  window.Add(Update(1, 101));
  window.Add(Update(2, 102));
  window.Add(UpdateLine{});  // nobody's
  window.Add(Update(3, 104));
  service.Answer(3, client::Recognition::kNew);
  service.Answer(2, client::Recognition::kOnboarded);
  service.Answer(1, absl::UnavailableError("gone"));
  EXPECT_EQ(window.Next()->recognized, "error");
  EXPECT_EQ(window.Next()->recognized, "onboarded");
  EXPECT_EQ(window.Next()->recognized, "ignored");
  EXPECT_EQ(window.Next()->recognized, "new");
  window.Close();
  EXPECT_FALSE(window.Next());
}

TEST(UpdateWindowTest, UsersUpdatesAreSentOneAfterTheOther) {
  HeldService service;
  UpdateWindow window(10, service.recognizer());
  window.Add(Update(1, 101));
  window.Add(Update(1, 102));
  window.Add(Update(2, 103));
  window.Add(Update(1, 104));
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
  UpdateWindow window(10, service.recognizer());
  window.Add(Update(1, 101));
  window.Add(Update(1, 102));
  service.Answer(1, absl::UnavailableError("gone"));
  service.Answer(1, client::Recognition::kNew);
  EXPECT_EQ(window.Next()->recognized, "error");
  EXPECT_EQ(window.Next()->recognized, "new");
}

TEST(UpdateWindowTest, AddWaitsWhileTheWindowIsFull) {
  HeldService service;
  UpdateWindow window(2, service.recognizer());
  std::atomic<int> added{0};
  std::thread adder([&] {
    for (int i = 1; i <= 4; ++i) {
      window.Add(Update(i, i));
      ++added;
    }
  });
  service.AwaitCalls(2);
  service.Answer(2);  // which is not the oldest: the window stays full
  EXPECT_LE(added, 2);
  EXPECT_THAT(service.calls(), ElementsAre(1, 2));
  service.Answer(1);
  EXPECT_EQ(window.Next()->update_id, 1);
  service.AwaitCalls(3);
  EXPECT_LE(added, 3);
  EXPECT_EQ(window.Next()->update_id, 2);
  service.Answer(3);
  service.Answer(4);
  adder.join();
  EXPECT_THAT(TakeAll(window), ElementsAre(3, 4));
}

TEST(UpdateWindowTest, AnswersMayComeBeforeTheCallReturns) {
  UpdateWindow window(100, [](v1::UpsertUserRequest contact, auto done) {
    done(client::Recognition::kNew);
  });
  for (int i = 1; i <= 100; ++i) window.Add(Update(1, i));
  EXPECT_EQ(TakeAll(window).size(), 100u);
}

TEST(UpdateWindowTest, KeepsItsPromisesWithAnswersFromManyThreads) {
  constexpr int kUsers = 7;
  constexpr int kUpdates = 5000;
  HeldService service;
  UpdateWindow window(16, service.recognizer());
  std::vector<std::thread> answerers;
  for (int user = 1; user <= kUsers; ++user) {
    answerers.emplace_back([&service, user] {
      for (int i = user; i <= kUpdates; i += kUsers) service.Answer(user);
    });
  }
  std::thread adder([&] {
    for (int i = 1; i <= kUpdates; ++i) {
      window.Add(Update((i - 1) % kUsers + 1, i));
    }
    window.Close();
  });
  std::int64_t expected = 0;
  while (const auto outcome = window.Next()) {
    ASSERT_EQ(outcome->update_id, ++expected);
  }
  EXPECT_EQ(expected, kUpdates);
  EXPECT_FALSE(service.overlapped());
  adder.join();
  for (std::thread& answerer : answerers) answerer.join();
}

}  // namespace
}  // namespace userprofile::adapter
