#ifndef USERPROFILE_CLIENT_ADAPTER_METRICS_H_
#define USERPROFILE_CLIENT_ADAPTER_METRICS_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "client/adapter/update.h"
#include "ops/metrics.h"

namespace userprofile::adapter {

// Those that the adapter works with.
enum Peer { kService, kBot, kTelegram, kPeers };

// What an adapter that runs on tells of itself: metrics, and whether all is
// well. Thread-safe.
class AdapterMetrics {
 public:
  AdapterMetrics();
  AdapterMetrics(const AdapterMetrics&) = delete;
  AdapterMetrics& operator=(const AdapterMetrics&) = delete;

  // How a try with a peer went. Logs when that changes, not each time.
  void SetPeer(Peer peer, const absl::Status& status);

  // The bot took an update, whose sender was recognized as that, after this
  // time.
  void CountDelivered(Recognized recognized, absl::Duration duration);

  // An update, or what the bot answered to it, was given up after several
  // tries.
  void CountPassedOver();

  // A webhook call was answered with this status, and nothing else was done.
  void CountRefusedCall(int http_status);

  // The peers whose last try failed, and why; empty if there are none.
  std::string Failing() const;

  // Everything, in Prometheus' text format, version 0.0.4.
  std::string Text() const { return metrics_.Text(); }

 private:
  ops::Counter RefusedCalls(const std::string& code);

  ops::Metrics metrics_;
  std::vector<ops::Counter> updates_;   // by Recognized
  std::vector<ops::Counter> failures_;  // by Peer
  std::vector<ops::Gauge> up_;          // by Peer
  ops::Counter passed_over_;
  ops::Histogram seconds_;

  mutable base::Mutex mutex_;
  absl::Status peers_[kPeers] ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_METRICS_H_
