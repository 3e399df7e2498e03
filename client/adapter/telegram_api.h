#ifndef USERPROFILE_CLIENT_ADAPTER_TELEGRAM_API_H_
#define USERPROFILE_CLIENT_ADAPTER_TELEGRAM_API_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "client/adapter/http_clients.h"
#include "client/adapter/http_url.h"

namespace httplib {
class Client;
}

namespace userprofile::adapter {

// Telegram's Bot API, for one bot. Over https the server's certificate is
// verified with the system's roots. Thread-safe.
//
// Errors hold neither the token nor what the API says of a message:
//   UNAVAILABLE         nobody answers, or with something that is no answer
//   RESOURCE_EXHAUSTED  too many calls; RetryAfter() says when to come back
//   UNAUTHENTICATED     the token is not (or no more) that of a bot
//   ABORTED             somebody else gets the updates: another process by
//                       getUpdates, or a webhook
//   NOT_FOUND           there is no such method
//   INVALID_ARGUMENT    the call was refused, and would be again
class TelegramApi {
 public:
  // `url` without a path, or with that under which a Bot API server lies.
  TelegramApi(HttpUrl url, std::string token);
  ~TelegramApi();
  TelegramApi(const TelegramApi&) = delete;
  TelegramApi& operator=(const TelegramApi&) = delete;

  // Updates from `offset` on, which confirms those before; all that are not
  // confirmed, without one. Waits for one, up to `timeout`, which is rounded up
  // to whole seconds. Each is an object with an update_id from 0 to 2^52-1;
  // what is not is left out, and UNAVAILABLE if nothing else comes. For one
  // thread.
  absl::StatusOr<std::vector<nlohmann::json>> GetUpdates(
      absl::optional<std::int64_t> offset, absl::Duration timeout);

  // Breaks off a GetUpdates that waits; one that is just about to begin may
  // not notice.
  void StopWaiting();

  // Calls the method that `call` names in "method", with the rest of it as
  // arguments, as a webhook's answer asks for it.
  absl::Status Call(const nlohmann::json& call);

 private:
  absl::StatusOr<nlohmann::json> Send(httplib::Client& client,
                                      const std::string& method,
                                      const nlohmann::json& arguments) const;
  std::unique_ptr<httplib::Client> NewClient() const;

  const HttpUrl url_;
  const std::string token_;
  const std::unique_ptr<httplib::Client> poller_;
  HttpClients clients_;
};

// When the Bot API wants to hear from us again; nullopt if it did not say.
absl::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_TELEGRAM_API_H_
