#ifndef USERPROFILE_CLIENT_ADAPTER_WEBHOOK_H_
#define USERPROFILE_CLIENT_ADAPTER_WEBHOOK_H_

#include <cstddef>
#include <string>
#include <utility>

#include "client/adapter/adapter_metrics.h"
#include "client/adapter/delivery.h"
#include "client/adapter/turns.h"

namespace httplib {
class Server;
}

namespace userprofile::adapter {

// The largest update that is taken, in bytes; Telegram's are much shorter.
inline constexpr std::size_t kMaxUpdate = 1024 * 1024;

// Where Telegram delivers updates, when it is told so by setWebhook. A POST to
// any path is
//   401  if it does not bring the secret that setWebhook was given,
//   413  if it is larger than kMaxUpdate,
//   400  if it is no update,
//   503  if the service can't store the contact now, or the bot is away,
// and changes nothing then (but for a bot that broke off). Else the answer is
// the bot's. Telegram tries again until it is 2xx, and carries out the method
// that it names. One user's updates are delivered in the order of their
// arrival, others, and those of nobody, at once.
class Webhook {
 public:
  Webhook(std::string secret, Delivery& delivery, AdapterMetrics& metrics)
      : secret_(std::move(secret)), delivery_(delivery), metrics_(metrics) {}

  // Must outlive the server.
  void AddTo(httplib::Server& server);

 private:
  const std::string secret_;
  Delivery& delivery_;
  AdapterMetrics& metrics_;
  Turns turns_;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_WEBHOOK_H_
