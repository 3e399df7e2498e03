#include "client/adapter/flags.h"

#include <iostream>
#include <utility>

#include "client/adapter/commands.h"
#include "client/adapter/secret.h"

namespace userprofile::adapter {
namespace {

std::string CheckServer(const std::string& server) {
  const auto colon = server.rfind(':');
  return colon == std::string::npos || colon + 1 == server.size()
             ? "is HOST:PORT, such as 127.0.0.1:50051"
             : "";
}

}  // namespace

void AddServiceFlags(CLI::App* command, ServiceFlags& flags) {
  AddFlag(command, "--server", flags.server, "Where the service listens")
      ->type_name("HOST:PORT")
      ->check(CheckServer)
      ->required();
  AddFlag(command, "--timeout", flags.timeout,
          "How long to try each update, a server's restart included")
      ->type_name("TIME")
      ->check(CheckDuration);
  command->add_flag("--tls", flags.tls, "Encrypt the calls to the service")
      ->envname("USERPROFILE_TLS");
  AddFlag(command, "--tls-ca-file", flags.tls_files.ca_file,
          "Whom to believe that a certificate is the service's")
      ->type_name("FILE");
  AddFlag(command, "--tls-certificate-file", flags.tls_files.certificate_file,
          "The certificate to show to the service")
      ->type_name("FILE");
  AddFlag(command, "--tls-key-file", flags.tls_files.key_file, "Its key")
      ->type_name("FILE");
  AddFlag(command, "--token-file", flags.token_file,
          "A file that holds a token for the service")
      ->type_name("FILE");
}

absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
    const ServiceFlags& flags) {
  client::ClientOptions options;
  options.timeout = DurationOf(flags.timeout);
  if (flags.tls) options.tls = flags.tls_files;
  if (!flags.token_file.empty()) {
    auto token = ReadSecret(flags.token_file, "");
    if (!token.ok()) return token.status();
    options.token = *std::move(token);
  }
  return client::MakeProfileClient(flags.server, options);
}

absl::Duration DurationOf(const std::string& text) {
  absl::Duration duration;
  (void)absl::ParseDuration(text, &duration);
  return duration;
}

int Fail(const absl::Status& status) {
  std::cerr << "userprofile-adapter: " << std::string(status.message())
            << std::endl;
  return absl::IsInvalidArgument(status) ? kWrongUsage : kFailed;
}

std::string CheckDuration(const std::string& text) {
  absl::Duration duration;
  return !absl::ParseDuration(text, &duration) ||
                 duration < absl::Milliseconds(1) || duration > absl::Hours(24)
             ? "is a time such as 10s, 500ms or 1m"
             : "";
}

}  // namespace userprofile::adapter
