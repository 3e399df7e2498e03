#ifndef USERPROFILE_CLIENT_ADAPTER_SENDER_H_
#define USERPROFILE_CLIENT_ADAPTER_SENDER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/steady_time.h"
#include "client/adapter/metrics.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/update.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// What a bot is told of an update's sender.
struct Sender {
  Recognized recognized = Recognized::kIgnored;
  std::string profile = {};  // as JSON; empty if there is none, or can't be
                             // written so
};

// What the service's answer to the update's contact says. kError if it refuses
// the contact for good, which is logged; errors are the service's, which can't
// store it now.
absl::StatusOr<Sender> SenderOf(
    const Update& update,
    const absl::StatusOr<v1::UpsertUserResponse>& response,
    AdapterMetrics& metrics);

// Tells the service of all the updates' contacts, at once, but for those of one
// user: of them in order; and again of those that it can't store, until then or
// `stop` is set. Returns the senders of the first updates, as many as are on
// disk without a gap. The service and the metrics must outlive its calls.
std::vector<Sender> TellService(std::vector<Update> updates,
                                client::ProfileClient& service,
                                AdapterMetrics& metrics, base::SteadyTime until,
                                const StopEvent& stop);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_SENDER_H_
