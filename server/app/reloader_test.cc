#include "server/app/reloader.h"

#include <atomic>
#include <deque>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_log.h"

namespace userprofile::app {
namespace {

using Outcome = absl::StatusOr<bool>;

class ReloaderTest : public ::testing::Test {
 protected:
  // What is logged when reading ends like that, one time after the other.
  std::string LogOf(std::deque<Outcome> outcomes) {
    std::atomic<bool> done{false};
    {
      Reloader reloader({{"the file",
                          [&]() -> Outcome {
                            if (outcomes.empty()) {
                              done = true;
                              return false;
                            }
                            const Outcome outcome = outcomes.front();
                            outcomes.pop_front();
                            return outcome;
                          }}},
                        absl::Milliseconds(1));
      const absl::Time limit = absl::Now() + absl::Seconds(60);
      while (!done && absl::Now() < limit) {
        absl::SleepFor(absl::Milliseconds(1));
      }
    }
    EXPECT_TRUE(done);
    return log_.text();
  }

  const Outcome bad_ = absl::InvalidArgumentError("no such file");
  const Outcome worse_ = absl::InvalidArgumentError("no such folder");
  const testing::CapturedLog log_;
};

TEST_F(ReloaderTest, SaysThatSomethingWasReadAgainAndElseNothing) {
  EXPECT_EQ(LogOf({false, true, false}), "info the file was read again\n");
}

TEST_F(ReloaderTest, SaysEachErrorOnceWhenItIsSeenTwice) {
  EXPECT_EQ(LogOf({bad_, bad_, bad_, worse_, worse_, worse_, true}),
            "warning the file was not read again, the old stays in force: no "
            "such file\n"
            "warning the file was not read again, the old stays in force: no "
            "such folder\n"
            "info the file was read again\n");
}

TEST_F(ReloaderTest, AnErrorThatPassesAtOnceIsNotWorthALine) {
  EXPECT_EQ(LogOf({bad_, true, bad_, false, worse_, bad_, false}),
            "info the file was read again\n");
}

TEST_F(ReloaderTest, SaysThatTheOldFileIsBack) {
  EXPECT_EQ(LogOf({bad_, bad_, false, bad_, bad_, false}),
            "warning the file was not read again, the old stays in force: no "
            "such file\n"
            "info the file is again what is in force\n"
            "warning the file was not read again, the old stays in force: no "
            "such file\n"
            "info the file is again what is in force\n");
}

}  // namespace
}  // namespace userprofile::app
