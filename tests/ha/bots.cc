#include "tests/ha/bots.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/support/error_details.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

using base::SteadyTime;

// A bot's own users are those from a multiple of this on.
constexpr std::int64_t kUsersOfABot = 100000;

// How many users a bot goes back to.
constexpr std::size_t kRecentUsers = 20;

std::string NameOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    default:
      return absl::StrCat("code ", static_cast<int>(code));
  }
}

std::string Now() {
  return absl::FormatTime("%H:%M:%E3S", absl::Now(), absl::UTCTimeZone());
}

}  // namespace

Bots::Bots(std::vector<Options> options, std::int64_t first_user)
    : answers_(options[0].servers.size()),
      last_acknowledged_(SteadyTime::Now()) {
  for (const Options& group : options) {
    for (int i = 0; i < group.bots; ++i) {
      auto bot = std::make_unique<Bot>();
      bot->deadline = group.deadline;
      bot->next_user = first_user;
      first_user += kUsersOfABot;
      for (const ServerProgram* server : group.servers) {
        bot->stubs.push_back(server->NewStub());
      }
      bots_.push_back(std::move(bot));
    }
  }
  for (const auto& bot : bots_) {
    threads_.emplace_back([this, &bot = *bot] { Run(bot); });
  }
}

Bots::~Bots() { Stop(); }

void Bots::AwaitAnswers() {
  std::vector<int> before(answers_.begin(), answers_.end());
  EXPECT_TRUE(Eventually(
      [&] {
        for (std::size_t i = 0; i < before.size(); ++i) {
          if (answers_[i] < before[i] + 100) return false;
        }
        return true;
      },
      absl::Seconds(60)))
      << "a server does not answer";
}

void Bots::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Bots::Tally Bots::TallyOf(std::chrono::seconds deadline) const {
  Tally all;
  const auto add = [](std::vector<std::string>& to,
                      const std::vector<std::string>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (const auto& bot : bots_) {
    if (bot->deadline != deadline) continue;
    all.ok += bot->tally.ok;
    for (const auto& [kind, count] : bot->tally.failures) {
      all.failures[kind] += count;
    }
    all.slowest = std::max(all.slowest, bot->tally.slowest);
    add(all.falsely_new, bot->tally.falsely_new);
    add(all.stale, bot->tally.stale);
    add(all.strange, bot->tally.strange);
  }
  return all;
}

Bots::Pause Bots::LongestPause() const {
  base::MutexLock lock(mutex_);
  return longest_pause_;
}

std::vector<std::string> Bots::LostIn(const std::string& rows) const {
  std::map<std::int64_t, std::pair<int, bool>> stored;
  for (const absl::string_view row :
       absl::StrSplit(rows, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(row, '|');
    std::int64_t id = 0;
    int number = 0;
    if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &id) ||
        !absl::SimpleAtoi(fields[1], &number)) {
      continue;
    }
    stored[id] = {number, fields[2] == "t"};
  }
  std::vector<std::string> lost;
  for (const auto& bot : bots_) {
    for (const User& user : bot->users) {
      const auto row = stored.find(user.id);
      if (row == stored.end()) {
        if (user.known) lost.push_back(absl::StrCat("user ", user.id));
        continue;
      }
      const auto& [number, onboarded] = row->second;
      if (number < user.acknowledged || number > user.attempted) {
        lost.push_back(absl::StrCat("user ", user.id, " has ", number,
                                    ", acknowledged is ", user.acknowledged));
      }
      if (user.onboarded && !onboarded) {
        lost.push_back(absl::StrCat("the onboarding of user ", user.id));
      }
    }
  }
  return lost;
}

void Bots::Run(Bot& bot) {
  for (std::size_t round = 0; !stopping_; ++round) {
    if (round % 5 == 0) {
      bot.users.emplace_back().id = bot.next_user++;
    }
    const std::size_t recent = std::min(bot.users.size(), kRecentUsers);
    User& user = bot.users[bot.users.size() - 1 - round % recent];
    Write(bot, round % bot.stubs.size(), user);
    Read(bot, (round + 1) % bot.stubs.size(), user);
    if (user.known && !user.onboarded) {
      Onboard(bot, round % bot.stubs.size(), user);
    }
    absl::SleepFor(absl::Milliseconds(20));  // leaves the machine to others
  }
}

void Bots::Write(Bot& bot, std::size_t server, User& user) {
  v1::UpsertUserRequest request;
  request.set_user_id(user.id);
  request.mutable_identity()->set_last_name(absl::StrCat(++user.attempted));
  const absl::Time now = absl::Now();
  request.mutable_occurred_at()->set_seconds(absl::ToUnixSeconds(now));
  request.mutable_occurred_at()->set_nanos(
      static_cast<int>(absl::ToInt64Nanoseconds(
          now - absl::FromUnixSeconds(absl::ToUnixSeconds(now)))));
  v1::UpsertUserResponse response;
  if (!Call(bot, server, "UpsertUser", &Stub::UpsertUser, request, &response)
           .ok()) {
    return;
  }
  Acknowledged();
  if (response.created() && user.known) {
    bot.tally.falsely_new.push_back(absl::StrCat(
        Now(), " user ", user.id, " was created by server ", server));
  }
  if (response.profile().last_name() != request.identity().last_name()) {
    bot.tally.strange.push_back(absl::StrCat(
        Now(), " ", request.identity().last_name(),
        " was written, the answer is ", response.profile().ShortDebugString()));
  }
  user.known = true;
  user.acknowledged = user.attempted;
}

void Bots::Read(Bot& bot, std::size_t server, User& user) {
  v1::GetProfileRequest request;
  request.set_user_id(user.id);
  v1::GetProfileResponse response;
  const grpc::Status status =
      Call(bot, server, "GetProfile", &Stub::GetProfile, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND && user.known) {
    bot.tally.falsely_new.push_back(absl::StrCat(
        Now(), " user ", user.id, " was not found by server ", server));
  }
  if (!status.ok()) return;
  user.known = true;
  int number = 0;
  const v1::Profile& profile = response.profile();
  if (!absl::SimpleAtoi(profile.last_name(), &number) ||
      number < user.acknowledged ||
      (user.onboarded && !profile.onboarding_completed())) {
    bot.tally.stale.push_back(
        absl::StrCat(Now(), " server ", server, ", acknowledged is ",
                     user.acknowledged, ": ", profile.ShortDebugString()));
  }
  if (number > user.attempted) {
    bot.tally.strange.push_back(profile.ShortDebugString());
  }
}

void Bots::Onboard(Bot& bot, std::size_t server, User& user) {
  v1::CompleteOnboardingRequest request;
  request.set_user_id(user.id);
  request.mutable_answers()->set_real_name("Ada");
  request.mutable_answers()->set_nickname(absl::StrCat("nick", user.id));
  v1::CompleteOnboardingResponse response;
  const grpc::Status status =
      Call(bot, server, "CompleteOnboarding", &Stub::CompleteOnboarding,
           request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    bot.tally.falsely_new.push_back(absl::StrCat(
        Now(), " user ", user.id, " was not onboarded by server ", server));
  }
  if (!status.ok()) return;
  Acknowledged();
  user.onboarded = true;
}

template <typename Request, typename Response>
grpc::Status Bots::Call(Bot& bot, std::size_t server, const char* name,
                        grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                     const Request&, Response*),
                        const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + bot.deadline);
  const SteadyTime begin = SteadyTime::Now();
  const grpc::Status status =
      (*bot.stubs[server].*method)(&context, request, response);
  if (status.ok()) {
    ++bot.tally.ok;
    ++answers_[server];
    bot.tally.slowest = std::max(bot.tally.slowest, SteadyTime::Now() - begin);
  } else if (status.error_code() != grpc::StatusCode::NOT_FOUND) {
    const std::string reason = ReasonOf(status);
    ++bot.tally.failures[absl::StrCat(
        name, " ", NameOf(status.error_code()), " ",
        reason.empty() ? Bots::kWithoutReason : reason)];
  }
  return status;
}

void Bots::Acknowledged() {
  const SteadyTime now = SteadyTime::Now();
  base::MutexLock lock(mutex_);
  if (now - last_acknowledged_ > longest_pause_.length()) {
    longest_pause_ = {last_acknowledged_, now};
  }
  last_acknowledged_ = now;
}

}  // namespace userprofile::testing
