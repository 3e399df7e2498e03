#ifndef USERPROFILE_TESTS_SUPPORT_BOT_API_H_
#define USERPROFILE_TESTS_SUPPORT_BOT_API_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/support/http_server.h"

namespace userprofile::testing {

// Telegram's Bot API as far as a bot's updates and messages go, on a port of
// this process, for one bot. As the real one does, it
// - gives updates out by getUpdates, up to 100 at once, waiting up to `timeout`
//   seconds for one, until a call with a higher offset confirms them, or one
//   with a negative offset forgets all but the last ones; a second getUpdates
//   ends the first with 409, and so does a webhook;
// - delivers updates to a webhook, several at once but each user's in order,
//   and again until the answer is 2xx; carries out the method that an answer
//   names;
// - tells who the bot is by getMe;
// - answers a wrong token with 401, and too many calls with 429 and a
//   retry_after.
// Other methods answer 404. It lies only where a test says so. Thread-safe.
class BotApi {
 public:
  // A message that a bot has sent.
  struct Sent {
    std::int64_t message_id;
    std::int64_t chat_id;
    std::string text;
  };

  // An answer by HTTP, whatever it says.
  struct Raw {
    int status;
    std::string body;
  };

  // `on_sent` is told of each message as it is sent, one after the other; it
  // may add updates.
  explicit BotApi(std::function<void(const Sent&)> on_sent = nullptr);
  ~BotApi();
  BotApi(const BotApi&) = delete;
  BotApi& operator=(const BotApi&) = delete;

  std::string url() const;
  const std::string& token() const { return token_; }

  // Puts an update in, under the next id, which it returns.
  std::int64_t Add(nlohmann::json update);

  // The same for a message of a user in their private chat; an answer to the
  // bot's message of that text, if there is one.
  std::int64_t AddMessage(std::int64_t user, const std::string& text,
                          const std::string& reply_to = "");

  // The user takes no messages of the bot any more: they get 403.
  void SetBlockedBy(std::int64_t user);

  // What the next update will be called. Telegram starts anew at random.
  void SetNextUpdateId(std::int64_t update_id);

  // Delivers to `url` from now on, as setWebhook makes it; not, if it is empty.
  void SetWebhook(const std::string& url, const std::string& secret);

  // The next `calls` calls get 429, or 502 and no JSON.
  void LimitNext(int calls, int retry_after);
  void FailNext(int calls);

  // What `lie` returns is answered to a call of a method, if it returns
  // something.
  using Lie = std::function<std::optional<Raw>(
      const std::string& method, const nlohmann::json& arguments)>;
  void LieBy(Lie lie);

  // Updates that are neither confirmed nor delivered.
  std::size_t pending() const;
  bool IsPending(std::int64_t update_id) const;
  std::vector<Sent> sent() const;

  // Calls of a method so far.
  int calls(const std::string& method) const;

  // Deliveries to the webhook that were not answered with 2xx.
  int failed_deliveries() const;

 private:
  struct Update {
    std::int64_t id;
    std::int64_t user;  // 0 for none
    nlohmann::json content;
    absl::Time not_before = absl::InfinitePast();
    absl::Duration wait = absl::Milliseconds(20);
    bool in_delivery = false;
  };

  HttpResponse Serve(const HttpRequest& request);
  nlohmann::json Answer(const std::string& method,
                        const nlohmann::json& arguments);
  nlohmann::json GetUpdates(const nlohmann::json& arguments);
  nlohmann::json SendMessage(const nlohmann::json& arguments);
  void Deliver();

  const std::string token_ = "123456:TEST-token";
  const std::function<void(const Sent&)> on_sent_;
  std::mutex sending_;  // held while on_sent_ runs; before mutex_

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All below is protected by mutex_.
  std::deque<Update> updates_;
  std::int64_t next_update_id_ = 1000;
  std::set<std::int64_t> in_delivery_;  // users
  std::set<std::int64_t> blocked_by_;
  std::string webhook_;
  std::string secret_;
  Lie lie_;
  std::vector<Sent> sent_;
  std::map<std::string, int> calls_;
  int polls_ = 0;
  int to_limit_ = 0;
  int retry_after_ = 0;
  int to_fail_ = 0;
  int failed_deliveries_ = 0;
  bool stopping_ = false;

  std::vector<std::thread> delivering_;
  HttpServer server_{[this](const auto& request) { return Serve(request); }};
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_BOT_API_H_
