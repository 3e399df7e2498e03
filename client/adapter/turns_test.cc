#include "client/adapter/turns.h"

#include <chrono>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;

TEST(TurnsTest, AUserHasOneTurnAtATimeInTheOrderOfTaking) {
  Turns turns;
  std::optional<Turns::Turn> first(turns.Take(1));
  Turns::Turn second = turns.Take(1);
  Turns::Turn third = turns.Take(1);
  first->Await();
  std::vector<int> order;
  // Begun in the wrong order; the one that awaits its turn has to wait.
  std::thread last([&order, turn = std::move(third)]() mutable {
    turn.Await();
    order.push_back(3);
  });
  std::thread next([&order, turn = std::move(second)]() mutable {
    turn.Await();
    order.push_back(2);
    Turns::Turn gone = std::move(turn);
  });
  order.push_back(1);
  first.reset();
  next.join();
  last.join();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(TurnsTest, OtherUsersDoNotWait) {
  Turns turns;
  Turns::Turn held = turns.Take(1);
  held.Await();
  auto other = std::async(std::launch::async, [&] {
    Turns::Turn turn = turns.Take(2);
    turn.Await();
  });
  EXPECT_EQ(other.wait_for(std::chrono::seconds(10)),
            std::future_status::ready);
}

TEST(TurnsTest, ATurnThatIsGivenUpUnusedKeepsNobodyWaiting) {
  Turns turns;
  { Turns::Turn unused = turns.Take(1); }
  Turns::Turn turn = turns.Take(1);
  turn.Await();
}

}  // namespace
}  // namespace userprofile::adapter
