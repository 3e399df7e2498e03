#ifndef USERPROFILE_CLIENT_ADAPTER_DELIVERY_H_
#define USERPROFILE_CLIENT_ADAPTER_DELIVERY_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/adapter/http_client.h"
#include "client/adapter/metrics.h"
#include "client/adapter/update.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// The headers that tell a bot who sent an update.
//   X-User-Recognized  "new", "returning" or "onboarded";
//                      "ignored" if the update is nobody's contact;
//                      "unknown" if the contact can't be stored, now or ever:
//                      says nothing about the user, who may well be known
//   X-User-Profile     the user's profile: ToJson() of it in base64url without
//                      padding; absent if there is none, or JSON can't hold
//                      it. Less than 8 KiB, as the API's limits keep a profile
//                      short
inline constexpr char kRecognizedHeader[] = "X-User-Recognized";
inline constexpr char kProfileHeader[] = "X-User-Profile";

// The way of an update to the bot, an HTTP server that takes updates as
// Telegram's webhooks bring them: the service hears of the contact first, and
// only once that is on disk, the bot of the update. Thread-safe; order is up to
// the caller.
class Delivery {
 public:
  // `timeout` is how long the bot may take to answer. The service and the
  // metrics must outlive it.
  Delivery(HttpUrl bot, absl::Duration timeout, client::ProfileClient& service,
           AdapterMetrics& metrics);

  // Tells the service of the contact, if the update is one, and returns who it
  // is; `headers` get the profile. Errors are the service's, which can't store
  // the contact now.
  absl::StatusOr<Recognized> TellService(
      const Update& update, std::map<std::string, std::string>& headers);

  // Does that, and brings an update to the bot; `headers` are passed on.
  // Returns the bot's answer if it took the update or refused it; a bot that
  // breaks off refuses it, with 502. Errors, with `failed` saying whose, and
  // the update is to be given again: the service's if it can't store the
  // contact now, or the bot's, as HttpClient returns them; UNAVAILABLE also if
  // it says that it is away, by 502 or 504, and RESOURCE_EXHAUSTED that it has
  // too much to do, by 429 or 503.
  absl::StatusOr<HttpAnswer> Deliver(
      const Update& update, std::map<std::string, std::string> headers = {},
      Peer* failed = nullptr);

 private:
  const std::string path_;
  const absl::Duration timeout_;
  client::ProfileClient& service_;
  AdapterMetrics& metrics_;
  HttpClient bot_;
};

// Whether the bot took the update that it answers to.
inline bool IsTaken(const HttpAnswer& answer) {
  return answer.status >= 200 && answer.status < 300;
}

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_DELIVERY_H_
