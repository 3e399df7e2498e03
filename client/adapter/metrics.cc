#include "client/adapter/metrics.h"

#include <cstddef>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr const char* kPeerNames[kPeers] = {"service", "bot", "telegram"};

}  // namespace

// What may be counted later is there from the start, as 0.
AdapterMetrics::AdapterMetrics()
    : passed_over_(&metrics_, "userprofile_adapter_updates_refused_total",
                   "Updates, or answers to them, that were passed over."),
      seconds_(&metrics_, "userprofile_adapter_update_seconds",
               "From an update's arrival to the bot's answer.", {},
               {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
                5, 10, 30, 60}) {
  for (std::size_t i = 0; i < std::size(kRecognizedNames); ++i) {
    updates_.emplace_back(
        &metrics_, "userprofile_adapter_updates_total",
        "Updates that the bot took, by who sent them.",
        ops::Labels{{"recognized", NameForBot(static_cast<Recognized>(i))}});
  }
  for (const char* peer : kPeerNames) {
    failures_.emplace_back(&metrics_, "userprofile_adapter_failures_total",
                           "Tries that failed, by the peer that failed.",
                           ops::Labels{{"peer", peer}});
    up_.emplace_back(
        &metrics_, "userprofile_adapter_peer_up",
        "Whether the last try with a peer went well; 1 before any.",
        ops::Labels{{"peer", peer}});
    up_.back().Set(1);
  }
  for (const char* code : {"400", "401", "405", "413", "415"})
    RefusedCalls(code);
}

ops::Counter AdapterMetrics::RefusedCalls(const std::string& code) {
  return ops::Counter(&metrics_, "userprofile_adapter_webhook_refused_total",
                      "Webhook calls that were refused, by HTTP status.",
                      {{"code", code}});
}

void AdapterMetrics::SetPeer(Peer peer, const absl::Status& status) {
  const char* name = kPeerNames[peer];
  up_[peer].Set(status.ok() ? 1 : 0);
  if (!status.ok()) failures_[peer].Increment();
  const base::MutexLock lock(mutex_);
  if (peers_[peer] == status) return;
  if (!status.ok()) {
    spdlog::warn("{}: {}; trying again", name, std::string(status.message()));
  } else {
    spdlog::info("{}: well again", name);
  }
  peers_[peer] = status;
}

void AdapterMetrics::CountDelivered(Recognized recognized,
                                    absl::Duration duration) {
  updates_[static_cast<std::size_t>(recognized)].Increment();
  seconds_.Observe(duration);
}

void AdapterMetrics::CountPassedOver() { passed_over_.Increment(); }

void AdapterMetrics::CountRefusedCall(int http_status) {
  RefusedCalls(absl::StrCat(http_status)).Increment();
}

std::string AdapterMetrics::Failing() const {
  const base::MutexLock lock(mutex_);
  std::string failing;
  for (std::size_t i = 0; i < kPeers; ++i) {
    if (peers_[i].ok()) continue;
    absl::StrAppend(&failing, failing.empty() ? "" : "\n", kPeerNames[i], ": ",
                    peers_[i].message());
  }
  return failing;
}

}  // namespace userprofile::adapter
