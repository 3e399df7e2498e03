#include "client/adapter/flags.h"

#include <iostream>
#include <utility>

#include "client/adapter/secret.h"
#include "ops/command_line.h"

namespace userprofile::adapter {
namespace {

std::string CheckServer(const std::string& server) {
  const auto colon = server.rfind(':');
  return colon == std::string::npos || colon + 1 == server.size()
             ? "is HOST:PORT, such as 127.0.0.1:50051"
             : "";
}

}  // namespace

void AddServiceFlags(ops::Command command, ServiceFlags& flags) {
  ops::AddFlag(command, "--server", flags.server, "Where the service listens")
      .TypeName("HOST:PORT")
      .Check(CheckServer)
      .Required();
  ops::AddDurationFlag(
      command, "--timeout", flags.timeout,
      "How long to try each update, a server's restart included");
  ops::AddSwitch(command, "--tls", flags.tls,
                 "Encrypt the calls to the service");
  ops::AddFlag(command, "--tls-ca-file", flags.tls_files.ca_file,
               "Whom to believe that a certificate is the service's")
      .TypeName("FILE");
  ops::AddFlag(command, "--tls-certificate-file",
               flags.tls_files.certificate_file,
               "The certificate to show to the service")
      .TypeName("FILE");
  ops::AddFlag(command, "--tls-key-file", flags.tls_files.key_file, "Its key")
      .TypeName("FILE");
  ops::AddFlag(command, "--token-file", flags.token_file,
               "A file that holds a token for the service")
      .TypeName("FILE");
}

absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
    const ServiceFlags& flags) {
  client::ClientOptions options;
  options.timeout = flags.timeout;
  const client::TlsOptions& files = flags.tls_files;
  if (flags.tls) {
    options.tls = files;
  } else if (!files.ca_file.empty() || !files.certificate_file.empty() ||
             !files.key_file.empty()) {
    return absl::InvalidArgumentError(
        "--tls-ca-file, --tls-certificate-file and --tls-key-file go with "
        "--tls: without it nothing is encrypted");
  }
  if (!flags.token_file.empty()) {
    auto token = ReadSecret(flags.token_file, "");
    if (!token.ok()) return token.status();
    options.token = *std::move(token);
  }
  return client::MakeProfileClient(flags.server, options);
}

int Fail(const absl::Status& status) {
  std::cerr << "userprofile-adapter: " << std::string(status.message())
            << std::endl;
  return absl::IsInvalidArgument(status) ? ops::kWrongUsage : ops::kFailed;
}

}  // namespace userprofile::adapter
