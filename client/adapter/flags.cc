#include "client/adapter/flags.h"

namespace userprofile::adapter {
namespace {

std::string CheckServer(const std::string& server) {
  const auto colon = server.rfind(':');
  return colon == std::string::npos || colon + 1 == server.size()
             ? "is HOST:PORT, such as 127.0.0.1:50051"
             : "";
}

}  // namespace

absl::Duration ServiceFlags::Timeout() const {
  absl::Duration result;
  (void)absl::ParseDuration(timeout, &result);
  return result;
}

void AddServiceFlags(CLI::App* command, ServiceFlags& flags) {
  AddFlag(command, "--server", flags.server, "Where the service listens")
      ->type_name("HOST:PORT")
      ->check(CheckServer)
      ->required();
  AddFlag(command, "--timeout", flags.timeout,
          "How long to try each update, a server's restart included")
      ->type_name("TIME")
      ->check(CheckDuration);
}

std::string CheckDuration(const std::string& text) {
  absl::Duration duration;
  return !absl::ParseDuration(text, &duration) ||
                 duration < absl::Milliseconds(1) || duration > absl::Hours(24)
             ? "is a time such as 10s, 500ms or 1m"
             : "";
}

}  // namespace userprofile::adapter
