#include "client/programs/service.h"

#include <utility>

#include "absl/status/status.h"
#include "base/read_file.h"

namespace userprofile::programs {
namespace {

std::string CheckServer(const std::string& server) {
  const auto colon = server.rfind(':');
  return colon == std::string::npos || colon + 1 == server.size()
             ? "is HOST:PORT, such as 127.0.0.1:50051"
             : "";
}

void AddFileFlag(ops::Command command, const std::string& flag,
                 std::string& file, const std::string& help) {
  ops::AddFlag(command, flag, file, help).TypeName("FILE");
}

}  // namespace

void AddServiceFlags(ops::Command command, ServiceOptions& options) {
  const ops::Flag server = ops::AddFlag(command, "--server", options.server,
                                        "Where the service listens")
                               .TypeName("HOST:PORT")
                               .Check(CheckServer);
  if (options.server.empty()) server.Required();
  ops::AddDurationFlag(
      command, "--timeout", options.client_options.timeout,
      "How long to try each call, a server's restart included");
  ops::AddSwitch(command, "--tls", options.tls,
                 "Encrypt the calls to the service");
  AddFileFlag(command, "--tls-ca-file", options.tls_files.ca_file,
              "Whom to believe that a certificate is the service's");
  AddFileFlag(command, "--tls-certificate-file",
              options.tls_files.certificate_file,
              "The certificate to show to the service");
  AddFileFlag(command, "--tls-key-file", options.tls_files.key_file, "Its key");
  AddFileFlag(command, "--token-file", options.token_file,
              "A file that holds a token for the service");
}

absl::StatusOr<std::unique_ptr<client::ProfileClient>> MakeClient(
    const ServiceOptions& options) {
  client::ClientOptions client_options = options.client_options;
  const client::TlsOptions& files = options.tls_files;
  if (options.tls) {
    client_options.tls = files;
  } else if (!files.ca_file.empty() || !files.certificate_file.empty() ||
             !files.key_file.empty()) {
    return absl::InvalidArgumentError(
        "--tls-ca-file, --tls-certificate-file and --tls-key-file go with "
        "--tls: without it nothing is encrypted");
  }
  if (!options.token_file.empty()) {
    auto token = base::ReadValueFile(options.token_file);
    if (!token.ok()) return token.status();
    client_options.token = *std::move(token);
  }
  return client::MakeProfileClient(options.server, client_options);
}

}  // namespace userprofile::programs
