#ifndef USERPROFILE_CLIENT_ADAPTER_SIDECAR_H_
#define USERPROFILE_CLIENT_ADAPTER_SIDECAR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "client/adapter/delivery.h"
#include "client/adapter/http_client.h"
#include "client/adapter/metrics.h"
#include "client/adapter/options.h"
#include "client/adapter/stop_event.h"
#include "ops/admin_server.h"
#include "ops/http_server.h"
#include "ops/logging.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// A bot that updates are brought to, and the secret for where they come from.
struct ForwardOptions {
  SecretOption secret;
  std::string forward_to = {};
  absl::Duration forward_timeout = absl::Seconds(30);
};

// What `proxy`, `poll` and `webhook` have in common: a process that runs on,
// beside a bot. `proxy` forwards nothing.
struct SidecarOptions {
  absl::optional<ForwardOptions> forward = absl::nullopt;
  ServiceOptions service = {};
  std::string api_listen = "127.0.0.1:8089";
  std::string admin_listen = "127.0.0.1:9465";
  bool insecure = false;
  ops::LoggingOptions logging = {};
};
void AddSidecarFlags(ops::Command command, SidecarOptions& options);

// The headers of delivery.h, for --help.
inline constexpr char kHeadersHelp[] = R"(

  X-User-Recognized  new, returning or onboarded; ignored if the update is
                     nobody's contact, unknown if it can't be stored
  X-User-Profile     the profile: JSON in base64url
)";

// The parts of such a process, built in order and gone in reverse.
class Sidecar {
 public:
  // Sets up logging and signals, connects everything (the service, the bot, the
  // service's door for the bot, the admin port) and does `work`. /readyz names
  // the peers that fail, unless it is `always_ready`. Returns the exit code,
  // once the errors, which are for people, are told.
  static int Run(const SidecarOptions& options, bool always_ready,
                 const std::function<absl::Status(Sidecar&)>& work);

  // Where there is a bot to forward to.
  const std::string& secret() const { return secret_; }
  Delivery& delivery() { return *delivery_; }

  client::ProfileClient& service() { return *service_; }
  AdapterMetrics& metrics() { return metrics_; }

  // Set when the work shall end.
  const StopEvent& stop() const { return stop_; }

  // For the log: where its ports are.
  std::string addresses() const;

 private:
  Sidecar(const StopEvent& stop, std::unique_ptr<client::ProfileClient> service)
      : stop_(stop), service_(std::move(service)) {}
  static absl::StatusOr<std::unique_ptr<Sidecar>> Start(
      const SidecarOptions& options, const StopEvent& stop, bool always_ready);

  const StopEvent& stop_;
  AdapterMetrics metrics_;
  const std::unique_ptr<client::ProfileClient> service_;
  std::string secret_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<ops::HttpServer> api_;
  std::unique_ptr<ops::HttpServer> admin_;
};

// Where the Bot API is.
inline constexpr char kBotApiUrl[] = "https://api.telegram.org";
void AddBotApiFlag(ops::Command command, std::string& url);

// INVALID_ARGUMENT, which names the flag, for what is no URL.
absl::StatusOr<HttpUrl> ParseBotApiUrl(const std::string& url);

// OK if only this machine can reach the address, or `insecure` says that others
// may; else INVALID_ARGUMENT, which says what to do.
absl::Status CheckListen(const std::string& address, bool insecure);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_SIDECAR_H_
