#ifndef USERPROFILE_CLIENT_ADAPTER_BOT_API_PROXY_H_
#define USERPROFILE_CLIENT_ADAPTER_BOT_API_PROXY_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/steady_time.h"
#include "client/adapter/bot_call.h"
#include "client/adapter/http_client.h"
#include "client/adapter/metrics.h"
#include "client/adapter/stop_event.h"
#include "ops/http_server.h"
#include "ops/http_stream.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// The Bot API, as bots of any number see it through the adapter.
//
// getUpdates is passed on, and the contacts in its answer are on disk before
// the bot gets it, with the members that UpdatesAnswer adds. While they can't
// be stored the bot waits, until a second after the `timeout` that it gave (a
// second after Telegram's answer, if that is later). Then it is given the
// updates before the first one that is not stored, perhaps none: as it confirms
// by its offset no others, Telegram gives them again.
//
// All else, every other method and files, is passed on as it is, in parts. If
// the answer is a 403 which says that a user has blocked the bot, or is
// deactivated, the service is told so, where the chat is a user's and its id is
// in what NumberArgument() finds in the first 64 KiB of the request.
//
// If Telegram can't be reached, the answer is 502 in the Bot API's form; other
// errors are Telegram's. Of a token, nothing but the bot's id is ever logged.
// Thread-safe.
class BotApiProxy {
 public:
  // Once `stop` is set, a getUpdates ends with no updates, and all else within
  // five seconds. Everything must outlive the proxy.
  BotApiProxy(const HttpUrl& telegram, client::ProfileClient& service,
              AdapterMetrics& metrics, const StopEvent& stop);

  // For a server; must not outlive the proxy.
  ops::HttpHandler Handler();

 private:
  void GetUpdates(ops::HttpStream& stream, const BotCall& bot);
  std::string TellService(std::string text, const BotCall& bot,
                          base::SteadyTime until);
  void PassOn(ops::HttpStream& stream, const BotCall& bot);
  void Learn(const BotCall& bot, const HttpCall& call,
             const ops::HttpRequest& request, const std::string& answer);

  // What the request becomes when it is passed on; without a body.
  HttpCall CallOf(const ops::HttpStream& stream) const;

  // Answers for a Telegram that is away, or notes that it is not.
  absl::Status Send(const HttpCall& call);

  const std::string prefix_;  // of paths
  HttpClient telegram_;
  client::ProfileClient& service_;
  AdapterMetrics& metrics_;
  const StopEvent& stop_;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_BOT_API_PROXY_H_
