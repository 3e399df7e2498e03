#ifndef USERPROFILE_CLIENT_ADAPTER_POLLER_H_
#define USERPROFILE_CLIENT_ADAPTER_POLLER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "client/adapter/sidecar.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/telegram_api.h"
#include "ops/command_line.h"

namespace userprofile::adapter {

// Where the updates come from that are brought to a bot: Telegram, or a file of
// those that were passed over.
class UpdateSource {
 public:
  virtual ~UpdateSource() = default;

  // As TelegramApi has it.
  virtual absl::StatusOr<std::vector<nlohmann::json>> GetUpdates(
      absl::optional<std::int64_t> offset, absl::Duration timeout,
      const StopEvent* stop) = 0;

  // Whether that there are none now means that none will come.
  virtual bool ended() const = 0;

  // Whether an update stays there although it is passed over.
  virtual bool keeps() const = 0;
};

struct PollerOptions {
  // How long a getUpdates waits for an update.
  absl::Duration poll_timeout = absl::Seconds(50);

  // How long the bot may take to answer.
  absl::Duration forward_timeout = absl::Seconds(30);

  // How many updates the bot gets at once, at least 1.
  std::size_t in_flight = 32;

  // How often an update is tried that fails by itself, before it is passed
  // over; and then the bot's answer to it.
  int attempts = 10;

  // The file for what is passed over; empty: it is lost.
  std::string dead_letter = {};
};
void AddPollerFlags(ops::Command command, PollerOptions& options);

// Brings updates to the bot, until the source has ended or the sidecar stops,
// and returns how many were passed over. UNAUTHENTICATED if Telegram does not
// know the token; INVALID_ARGUMENT if no letter can be kept.
absl::StatusOr<std::int64_t> DeliverUpdates(const PollerOptions& options,
                                            UpdateSource& source,
                                            TelegramApi& telegram,
                                            Sidecar& sidecar);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_POLLER_H_
