#include "tests/stories/bot_users.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace userprofile::testing {
namespace {

// Empty if the text is no question.
std::string AnswerTo(const std::string& text, std::int64_t user) {
  if (absl::StrContains(text, "your name?")) return BotUsers::NameOf(user);
  if (absl::StrContains(text, "nickname")) return BotUsers::NicknameOf(user);
  if (absl::StrContains(text, "field of study?")) return "Mathematics";
  if (absl::StrContains(text, "grade")) return "11";
  return "";
}

}  // namespace

std::string BotUsers::NameOf(std::int64_t user) {
  return absl::StrCat("Name", user);
}

std::string BotUsers::NicknameOf(std::int64_t user) {
  return absl::StrCat("nick", user);
}

void BotUsers::Start(BotApi& api, std::int64_t user) {
  std::lock_guard<std::mutex> lock(mutex_);
  ++written_[user];
  waiting_.insert(user);
  first_updates_.emplace(user, api.AddMessage(user, "/start"));
}

void BotUsers::OnSent(BotApi& api, const BotApi::Sent& sent) {
  const std::int64_t user = sent.chat_id;
  const std::string answer = AnswerTo(sent.text, user);
  std::lock_guard<std::mutex> lock(mutex_);
  const bool first = heard_[user]++ == 0;
  if (absl::StartsWith(sent.text, "Hello! ")) {
    EXPECT_TRUE(api.IsPending(first_updates_[user]))
        << user << " is known, and taken for new";
  } else if (absl::StartsWith(sent.text, "Hello again! ")) {
    EXPECT_FALSE(first) << user << " is new, and taken for known";
  }
  if (!answer.empty()) {
    EXPECT_EQ(completed_.count(user), 0u)
        << user << " has answered, and is asked again: " << sent.text;
    ++written_[user];
    api.AddMessage(user, answer, sent.text);
    return;
  }
  EXPECT_TRUE(absl::StrContains(sent.text, NameOf(user))) << sent.text;
  completed_.insert(user);
  waiting_.erase(user);
}

std::size_t BotUsers::completed() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return completed_.size();
}

std::size_t BotUsers::waiting() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return waiting_.size();
}

int BotUsers::written() const {
  std::lock_guard<std::mutex> lock(mutex_);
  int sum = 0;
  for (const auto& [user, count] : written_) sum += count;
  return sum;
}

void BotUsers::ExpectAllAnswered() const {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [user, count] : written_) {
    const auto heard = heard_.find(user);
    ASSERT_TRUE(heard != heard_.end() && heard->second >= count) << user;
  }
}

}  // namespace userprofile::testing
