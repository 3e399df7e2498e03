#ifndef USERPROFILE_TESTS_STORIES_BOT_USERS_H_
#define USERPROFILE_TESTS_STORIES_BOT_USERS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "tests/support/bot_api.h"

namespace userprofile::testing {

// The users of an example bot: each answers what it is asked, remembers what it
// was told, and notices (as a test failure) what must not be: somebody who is
// taken for new once their first message is dealt with, or for known before, or
// asked again after all was answered. Thread-safe.
class BotUsers {
 public:
  // Somebody writes to the bot.
  void Start(BotApi& api, std::int64_t user);

  // The bot writes to somebody; for BotApi's on_sent.
  void OnSent(BotApi& api, const BotApi::Sent& sent);

  // Those who have answered everything.
  std::size_t completed() const;

  // Those who wrote "/start", and were neither thanked nor greeted since.
  std::size_t waiting() const;

  // How often they wrote.
  int written() const;

  // Fails unless everybody heard at least as often as they wrote.
  void ExpectAllAnswered() const;

  // What they answer.
  static std::string NameOf(std::int64_t user);
  static std::string NicknameOf(std::int64_t user);

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, int> written_;
  std::map<std::int64_t, std::int64_t> first_updates_;
  std::map<std::int64_t, int> heard_;
  std::set<std::int64_t> completed_;
  std::set<std::int64_t> waiting_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_STORIES_BOT_USERS_H_
