// What becomes of users whose events come late, as after an outage: some with
// the time at which they happened and some without, in order, with repetitions
// and late-comers, with servers whose clocks are wrong and which are restarted.
// Random, but the same each time; for others, and more:
//   USERPROFILE_TEST_SEED=$RANDOM USERPROFILE_TEST_CASES=1000 store_test ...

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "gtest/gtest.h"
#include "server/store/postgres_store.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/blocking_store.h"
#include "server/store/testing/users_database.h"

namespace userprofile::store {
namespace {

constexpr int kUsers = 12;

int NumberFrom(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  int number = otherwise;
  if (text != nullptr && !absl::SimpleAtoi(text, &number)) {
    ADD_FAILURE() << variable << " is no number";
  }
  return number;
}

// What Telegram's rules make of a user: the latest word counts, and an event
// that is older than one heard of before has none.
struct Person {
  bool known = false;
  std::string name;
  bool active = true;
  absl::optional<absl::Time> newest;

  void Hear(const v1::UpsertUserRequest& event) {
    if (event.has_occurred_at()) {
      const absl::Time time = FromTimestamp(event.occurred_at());
      if (newest && time < *newest) return;
      newest = time;
    }
    if (event.identity().has_first_name()) name = event.identity().first_name();
    if (event.has_is_active()) {
      active = event.is_active();
    } else if (!known) {
      active = !event.has_is_active_if_new();
    }
  }
};

class Backlog {
 public:
  explicit Backlog(unsigned seed) : random_(seed) {}

  void Play(UsersDatabase& database) {
    PostgresStoreOptions options;
    options.connect = database.EmptySessions();
    options.clock = [this] { return absl::Now() + clock_error_; };
    options.max_batch = Below(2) == 0 ? 256 : 3;
    // Less than lies between two events: what moves a time is written.
    if (Below(2) == 0) options.contact_interval = absl::Seconds(59);
    // Some had been stored by a server whose clock was years ahead.
    for (int user = 1; user <= kUsers; user += 3) {
      database.Execute(absl::StrCat(
          "INSERT INTO users (user_id, last_activity, last_seen_at, is_active)"
          " VALUES (",
          user, ", now() + '3 years', now() + '3 years', true)"));
      people_[user].known = true;
    }
    for (int life = 0; life < 2; ++life) {
      clock_error_ = std::vector<absl::Duration>{
          absl::ZeroDuration(), absl::Seconds(30), -absl::Hours(1),
          absl::Hours(24 * 365 * 5)}[Below(4)];
      PostgresStore impl(options);
      BlockingStore store(impl);
      for (int round = 0; round < 6; ++round) HearOfMany(store);
      for (auto& [user, person] : people_) Expect(store, user, person);
    }
  }

 private:
  int Below(int limit) {
    return std::uniform_int_distribution<int>(0, limit - 1)(random_);
  }

  // All at once; those of one user in their order.
  void HearOfMany(BlockingStore& store) {
    std::vector<v1::UpsertUserRequest> events;
    for (int i = 0; i < 3 * kUsers; ++i) {
      if (!events.empty() && Below(6) == 0) {
        const v1::UpsertUserRequest again = events[Below(events.size())];
        events.push_back(again);
      } else {
        events.push_back(Event(1 + Below(kUsers)));
      }
    }
    const auto answers = store.UpsertAll(events);
    for (std::size_t i = 0; i < events.size(); ++i) {
      ASSERT_TRUE(answers[i].ok()) << answers[i].status();
      Person& person = people_[events[i].user_id()];
      EXPECT_EQ(answers[i]->created(), !person.known);
      person.Hear(events[i]);
      person.known = true;
      EXPECT_EQ(answers[i]->profile().first_name(), person.name)
          << events[i].DebugString();
      EXPECT_EQ(answers[i]->profile().is_active(), person.active)
          << events[i].DebugString();
    }
  }

  v1::UpsertUserRequest Event(int user) {
    v1::UpsertUserRequest event;
    event.set_user_id(user);
    ++minute_;
    if (Below(3) > 0) {
      const int late = Below(4) == 0 ? Below(30) : 0;
      SetTimestamp(start_ + absl::Minutes(minute_ - late),
                   event.mutable_occurred_at());
    }
    switch (Below(4)) {
      case 0:
        event.set_is_active(Below(2) == 0);  // unblocked, or blocked
        break;
      case 1:
        event.set_is_active_if_new(false);  // in a group
        [[fallthrough]];
      default:
        event.mutable_identity()->set_first_name(absl::StrCat("name", minute_));
    }
    return event;
  }

  void Expect(BlockingStore& store, int user, const Person& person) {
    const auto got = store.Get(user);
    if (!person.known) {
      EXPECT_TRUE(absl::IsNotFound(got.status()));
      return;
    }
    ASSERT_TRUE(got.ok()) << got.status();
    const v1::Profile& profile = got->profile();
    EXPECT_EQ(profile.first_name(), person.name) << user;
    EXPECT_EQ(profile.is_active(), person.active) << user;
    if (person.newest) {
      EXPECT_EQ(FromTimestamp(profile.last_activity()), *person.newest);
    }
  }

  std::mt19937 random_;
  const absl::Time start_ =
      absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) - absl::Hours(24);
  int minute_ = 0;
  absl::Duration clock_error_;
  std::map<int, Person> people_;
};

TEST(BacklogTest, LeavesEachUserAsTelegramsRulesSay) {
  const int seed = NumberFrom("USERPROFILE_TEST_SEED", 1);
  const int cases = NumberFrom("USERPROFILE_TEST_CASES", 20);
  for (int i = 0; i < cases; ++i) {
    SCOPED_TRACE(absl::StrCat("USERPROFILE_TEST_SEED=", seed + i));
    Backlog(seed + i).Play(UsersDatabase::Shared());
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace userprofile::store
