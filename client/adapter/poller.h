#ifndef USERPROFILE_CLIENT_ADAPTER_POLLER_H_
#define USERPROFILE_CLIENT_ADAPTER_POLLER_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/adapter/adapter_metrics.h"
#include "client/adapter/delivery.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/telegram_api.h"

namespace userprofile::adapter {

// How `userprofile-adapter poll` works.
struct PollOptions {
  // How many updates the bot gets at once, at least 1.
  std::size_t in_flight = 32;

  // How long a getUpdates waits for an update.
  absl::Duration poll_timeout = absl::Seconds(50);

  // How often an update is given to a bot that refuses it, or breaks off (not
  // to one that is away: that is waited out), before it is passed over.
  int attempts = 10;
};

// Gets updates from Telegram by long polling, and delivers each, different
// users' at once and one user's in order. Does what the bot's answers ask for
// ("method"), as Telegram does for a webhook. Only when all updates of a batch
// are done does the next getUpdates confirm them; what a killed process had
// not confirmed comes again. Whatever fails is tried again until it works.
//
// When `stop` is set, finishes the calls under way, confirms what is done, and
// returns OK. UNAUTHENTICATED if Telegram does not know the token.
absl::Status RunPoll(const PollOptions& options, TelegramApi& telegram,
                     Delivery& delivery, AdapterMetrics& metrics,
                     const StopEvent& stop);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_POLLER_H_
