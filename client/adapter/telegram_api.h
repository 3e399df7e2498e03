#ifndef USERPROFILE_CLIENT_ADAPTER_TELEGRAM_API_H_
#define USERPROFILE_CLIENT_ADAPTER_TELEGRAM_API_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "client/adapter/http_client.h"

namespace userprofile::adapter {

// Of every client of the Bot API. A hundred updates are much shorter.
inline constexpr absl::Duration kBotApiConnectTimeout = absl::Seconds(10);
inline constexpr std::size_t kMaxBotApiAnswer = 64 * 1024 * 1024;

// Telegram's Bot API, for one bot. Thread-safe.
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
  TelegramApi(const HttpUrl& url, const std::string& token);

  // Updates from `offset` on, which confirms those before; all that are not
  // confirmed, without one. Waits for one, up to `timeout`, which is rounded up
  // to whole seconds. Each is an object with an update_id from 0 to 2^52-1;
  // what is not is left out, and UNAVAILABLE if nothing else comes, or as soon
  // as `stop` is set.
  absl::StatusOr<std::vector<nlohmann::json>> GetUpdates(
      absl::optional<std::int64_t> offset, absl::Duration timeout,
      const StopEvent* stop = nullptr);

  // Calls the method that `call` names in "method", with the rest of it as
  // arguments, as a webhook's answer asks for it.
  absl::Status Call(const nlohmann::json& call);

 private:
  absl::StatusOr<nlohmann::json> Send(const std::string& method,
                                      const nlohmann::json& arguments,
                                      absl::Duration timeout,
                                      const StopEvent* stop = nullptr);

  const std::string path_;  // of the methods
  HttpClient http_;
};

// When the Bot API wants to hear from us again; nullopt if it did not say.
absl::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_TELEGRAM_API_H_
