#include "server/app/status_page.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/steady_time.h"
#include "nlohmann/json.hpp"
#include "server/app/page/files.h"

namespace userprofile::app {
namespace {

using Value = nlohmann::ordered_json;

// status.js counts on these.
constexpr absl::Duration kInterval = absl::Seconds(2);
constexpr std::size_t kIntervals = 150;
constexpr std::size_t kLatest = 5;

Value Seconds(absl::Time time) {
  return absl::ToDoubleSeconds(time - absl::UnixEpoch());
}

Value Milliseconds(const absl::optional<absl::Duration>& duration) {
  return duration ? Value(absl::ToDoubleMilliseconds(*duration)) : Value();
}

Value OrNull(const absl::optional<double>& value) {
  return value ? Value(*value) : Value();
}

Value ToJson(const CallTraffic& calls) {
  return {{"calls", calls.calls},
          {"failed", calls.failed},
          {"p50_ms", Milliseconds(calls.p50)},
          {"p99_ms", Milliseconds(calls.p99)}};
}

// Each line of a chart as an array, of equal length.
Value ToJson(const std::vector<Traffic>& history, const Traffic& latest) {
  Value json = {{"times", Value::array()},
                {"p50_ms", Value::array()},
                {"p99_ms", Value::array()},
                {"calls", Value::object()},
                {"batch", Value::object()}};
  for (const Traffic& traffic : history) {
    json["times"].push_back(Seconds(traffic.end));
    json["p50_ms"].push_back(Milliseconds(traffic.all.p50));
    json["p99_ms"].push_back(Milliseconds(traffic.all.p99));
    for (const auto& [method, unused] : latest.methods) {
      const auto calls = traffic.methods.find(method);
      json["calls"][method].push_back(
          calls == traffic.methods.end() ? 0 : calls->second.calls);
    }
    for (const auto& [lane, unused] : latest.batch_size) {
      const auto size = traffic.batch_size.find(lane);
      json["batch"][lane].push_back(
          size == traffic.batch_size.end() ? Value() : OrNull(size->second));
    }
  }
  return json;
}

Value ToJson(const std::vector<api::Failure>& failures) {
  Value json = Value::array();
  for (const api::Failure& failure : failures) {
    json.push_back(
        {{"time", Seconds(failure.time)},
         {"method", failure.method},
         {"code", failure.code},
         {"reason", failure.reason},
         {"caller", failure.caller},
         {"trace_id", failure.trace_id},
         {"duration_ms", absl::ToDoubleMilliseconds(failure.duration)}});
  }
  return json;
}

// How a Content-Security-Policy names a text that the page may hold.
std::string HashSource(absl::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest);
  return absl::StrCat(
      "'sha256-",
      absl::Base64Escape(absl::string_view(
          reinterpret_cast<const char*>(digest), sizeof(digest))),
      "'");
}

}  // namespace

StatusPage::StatusPage(std::string version, const ops::Metrics& metrics,
                       const ops::Readiness& readiness,
                       const api::RecentFailures& failures)
    : version_(std::move(version)),
      metrics_(metrics),
      readiness_(readiness),
      failures_(failures),
      started_(absl::Now()),
      history_(kIntervals),
      thread_([this] {
        history_.Sample(MetricValues(metrics_.Collect()), absl::Now(),
                        base::SteadyTime::Now());
        return kInterval;
      }) {}

void StatusPage::SetSchema(std::string json) {
  base::MutexLock lock(mutex_);
  schema_ = std::move(json);
}

std::string StatusPage::Json() const {
  const MetricValues values(metrics_.Collect());
  const auto outcome = [&](const char* name, const char* value) {
    return values.Sum(name, "outcome", value);
  };
  constexpr char kContacts[] = "userprofile_recognitions_total";
  constexpr char kOnboardings[] = "userprofile_onboardings_total";
  const absl::Status state = readiness_.state();
  const Traffic latest = history_.Latest(kLatest);

  Value json = {{"version", version_},
                {"now", Seconds(absl::Now())},
                {"started", Seconds(started_)},
                {"ready", state.ok()},
                {"state", state.ok() ? "READY" : base::ErrorReason(state)},
                {"why", std::string(state.message())},
                {"all", ToJson(latest.all)},
                {"methods", Value::array()},
                {"batch", Value::object()},
                {"waiting", values.Sum("userprofile_lane_queue_depth")},
                {"connections", values.Sum("userprofile_database_connections")},
                {"history", ToJson(history_.List(), latest)},
                {"contacts",
                 {{"created", outcome(kContacts, "created")},
                  {"returning", outcome(kContacts, "returning")},
                  {"onboarded", outcome(kContacts, "onboarded")}}},
                {"onboardings",
                 {{"completed", outcome(kOnboardings, "completed")},
                  {"repeated", outcome(kOnboardings, "repeated")}}},
                {"failures", ToJson(failures_.List())}};
  for (const auto& [method, calls] : latest.methods) {
    Value row = {{"name", method}};
    row.update(ToJson(calls));
    row["in_flight"] =
        values.Sum("userprofile_rpc_in_flight", "method", method);
    json["methods"].push_back(std::move(row));
  }
  for (const auto& [lane, size] : latest.batch_size) {
    json["batch"][lane] = OrNull(size);
  }
  base::MutexLock lock(mutex_);
  json["schema"] = Value::parse(schema_, nullptr, false);
  return json.dump(-1, ' ', false, Value::error_handler_t::replace);
}

std::vector<ops::AdminPage> StatusPage::Pages() const {
  std::string html = absl::StrReplaceAll(
      kStatusHtml, {{"/*STYLE*/", kStatusCss}, {"/*SCRIPT*/", kStatusJs}});
  const std::string policy = absl::StrCat(
      "default-src 'none'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'; connect-src 'self'; img-src data:; style-src ",
      HashSource(kStatusCss), "; script-src ", HashSource(kStatusJs));
  return {{"/", "text/html; charset=utf-8",
           [html = std::move(html)] { return html; }, policy},
          {"/status.json", "application/json", [this] { return Json(); }}};
}

}  // namespace userprofile::app
