#ifndef USERPROFILE_CLIENT_ADAPTER_DELIVERY_H_
#define USERPROFILE_CLIENT_ADAPTER_DELIVERY_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "client/adapter/adapter_metrics.h"
#include "client/adapter/bot.h"
#include "client/adapter/update_line.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// The headers that tell a bot who sent an update.
//   X-User-Recognized  "new", "returning" or "onboarded";
//                      "ignored" if the update is nobody's contact;
//                      "unknown" if the contact can't be stored, now or ever:
//                      says nothing about the user, who may well be known
//   X-User-Profile     the user's profile, as ProfileHeader() writes it; absent
//                      if there is none
inline constexpr char kRecognizedHeader[] = "X-User-Recognized";
inline constexpr char kProfileHeader[] = "X-User-Profile";

// The way of an update to the bot: the service hears of the contact first, and
// only once that is on disk, the bot of the update. Thread-safe; order is up to
// the caller.
class Delivery {
 public:
  // All must outlive it.
  Delivery(client::ProfileClient& service, Bot& bot, AdapterMetrics& metrics)
      : service_(service), bot_(bot), metrics_(metrics) {}

  // Brings an update to the bot; `headers` are passed on. Returns the bot's
  // answer if it took the update or refused it; a bot that breaks off refuses
  // it, with 502. Errors, with `failed` saying whose, and the update is to be
  // given again: the service's if it can't store the contact now, or the bot's,
  // as Bot::Post() returns them; UNAVAILABLE also if it says that it is away,
  // by 502 or 504, and RESOURCE_EXHAUSTED that it has too much to do, by 429 or
  // 503.
  absl::StatusOr<BotAnswer> Deliver(
      const UpdateLine& update, std::map<std::string, std::string> headers = {},
      Peer* failed = nullptr);

 private:
  client::ProfileClient& service_;
  Bot& bot_;
  AdapterMetrics& metrics_;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_DELIVERY_H_
