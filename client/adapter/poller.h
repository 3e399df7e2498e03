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

  // How often an update is tried that fails by itself, before it is passed
  // over; and then the bot's answer to it.
  int attempts = 10;
};

// Gets updates from Telegram by long polling, and delivers each, different
// users' at once and one user's in order. Does what the bot's answers ask for
// ("method"), as Telegram does for a webhook. The offset is that of the first
// update that is not done, so what a killed process had not done comes again.
//
// What fails is tried again, and nobody but the updates of the same user waits
// for it, nor for a pause that Telegram wants for that user. But as Telegram
// gives out no more than the hundred updates from the offset on, one that never
// succeeds has to end: each failure of its own counts as an attempt. That is a
// bot that refuses it, takes too long, breaks off or answers too much, and what
// Telegram refuses of the bot's answer. That the service, the bot or Telegram
// is away is not its own, and is waited out; unless they get through for others
// who come after it has failed.
//
// When `stop` is set, finishes the calls under way, confirms what is done, and
// returns OK. UNAUTHENTICATED if Telegram does not know the token.
absl::Status RunPoll(const PollOptions& options, TelegramApi& telegram,
                     Delivery& delivery, AdapterMetrics& metrics,
                     const StopEvent& stop);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_POLLER_H_
