#include "client/adapter/metrics.h"

#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/process_metrics.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr const char* kPeerNames[kPeers] = {"service", "bot", "telegram"};

}  // namespace

struct AdapterMetrics::Families {
  prometheus::Family<prometheus::Counter>& Counters(const char* name,
                                                    const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& updates =
      Counters("userprofile_adapter_updates_total",
               "Updates that the bot took, by who sent them.");
  prometheus::Family<prometheus::Counter>& failures =
      Counters("userprofile_adapter_failures_total",
               "Tries that failed, by the peer that failed.");
  prometheus::Family<prometheus::Counter>& refused_calls =
      Counters("userprofile_adapter_webhook_refused_total",
               "Webhook calls that were refused, by HTTP status.");
  prometheus::Counter& passed_over =
      Counters("userprofile_adapter_updates_refused_total",
               "Updates, or answers to them, that were passed over.")
          .Add({});
  prometheus::Family<prometheus::Gauge>& up =
      prometheus::BuildGauge()
          .Name("userprofile_adapter_peer_up")
          .Help("Whether the last try with a peer went well; 1 before any.")
          .Register(registry);
  prometheus::Histogram& seconds =
      prometheus::BuildHistogram()
          .Name("userprofile_adapter_update_seconds")
          .Help("From an update's arrival to the bot's answer.")
          .Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{
                       0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                       1, 2.5, 5, 10, 30, 60});
};

// What may be counted later is there from the start, as 0.
AdapterMetrics::AdapterMetrics() : families_(std::make_unique<Families>()) {
  for (const char* peer : kPeerNames) {
    families_->up.Add({{"peer", peer}}).Set(1);
    families_->failures.Add({{"peer", peer}});
  }
  for (std::size_t i = 0; i < std::size(kRecognizedNames); ++i) {
    families_->updates.Add(
        {{"recognized", NameForBot(static_cast<Recognized>(i))}});
  }
  for (const char* code : {"400", "401", "413"}) {
    families_->refused_calls.Add({{"code", code}});
  }
}

AdapterMetrics::~AdapterMetrics() = default;

void AdapterMetrics::SetPeer(Peer peer, const absl::Status& status) {
  const char* name = kPeerNames[peer];
  families_->up.Add({{"peer", name}}).Set(status.ok() ? 1 : 0);
  if (!status.ok()) families_->failures.Add({{"peer", name}}).Increment();
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
  families_->updates.Add({{"recognized", NameForBot(recognized)}}).Increment();
  families_->seconds.Observe(absl::ToDoubleSeconds(duration));
}

void AdapterMetrics::CountPassedOver() { families_->passed_over.Increment(); }

void AdapterMetrics::CountRefusedCall(int http_status) {
  families_->refused_calls.Add({{"code", absl::StrCat(http_status)}})
      .Increment();
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

std::string AdapterMetrics::Text() const {
  std::vector<prometheus::MetricFamily> all = families_->registry.Collect();
  ops::AppendProcessMetrics(all);
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace userprofile::adapter
