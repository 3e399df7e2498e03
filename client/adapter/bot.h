#ifndef USERPROFILE_CLIENT_ADAPTER_BOT_H_
#define USERPROFILE_CLIENT_ADAPTER_BOT_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/adapter/http_clients.h"
#include "client/adapter/http_url.h"

namespace userprofile::adapter {

// What a bot answers to an update.
struct BotAnswer {
  int status = 0;  // of HTTP
  std::string content_type;
  std::string body;

  bool taken() const { return status >= 200 && status < 300; }
};

// The bot behind the adapter: an HTTP server that takes updates as Telegram's
// webhooks bring them. Thread-safe; keeps its connections.
class Bot {
 public:
  // `timeout` is how long the bot may take to answer.
  Bot(HttpUrl url, absl::Duration timeout);

  // Posts an update, a JSON object, and waits for the answer, of whatever
  // status. UNAVAILABLE if the bot can't be reached, DEADLINE_EXCEEDED if it
  // takes too long, ABORTED if it breaks off, RESOURCE_EXHAUSTED if it answers
  // with more than a mebibyte; it may have handled the update nevertheless.
  absl::StatusOr<BotAnswer> Post(
      const std::string& update,
      const std::map<std::string, std::string>& headers);

 private:
  std::unique_ptr<httplib::Client> NewClient() const;

  const HttpUrl url_;
  const absl::Duration timeout_;
  HttpClients clients_;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_BOT_H_
