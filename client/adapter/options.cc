#include "client/adapter/options.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "client/adapter/batching_client.h"
#include "ops/command_line.h"

namespace userprofile::adapter {
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

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Of equal length for texts of any length.
Digest DigestOf(const std::string& text) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest.data());
  return digest;
}

}  // namespace

void AddServiceFlags(ops::Command command, ServiceOptions& options) {
  ops::AddFlag(command, "--server", options.server, "Where the service listens")
      .TypeName("HOST:PORT")
      .Check(CheckServer)
      .Required();
  ops::AddDurationFlag(
      command, "--timeout", options.client_options.timeout,
      "How long to try each update, a server's restart included");
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

absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
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
    auto token = ReadSecret(options.token_file, "");
    if (!token.ok()) return token.status();
    client_options.token = *std::move(token);
  }
  auto client = client::MakeProfileClient(options.server, client_options);
  if (!client.ok()) return client.status();
  return std::make_unique<BatchingClient>(*std::move(client),
                                          client_options.timeout);
}

absl::StatusOr<std::string> ReadSecret(const std::string& file,
                                       const char* variable) {
  if (!file.empty()) return base::ReadValueFile(file);
  const char* value = std::getenv(variable);
  std::string secret = value == nullptr ? "" : value;
  absl::StripAsciiWhitespace(&secret);
  if (secret.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(variable, " is not set"));
  }
  return secret;
}

void AddSecretFlag(ops::Command command, SecretOption& option) {
  AddFileFlag(command, option.flag, option.file,
              absl::StrCat("A file that holds the ", option.name));
}

absl::StatusOr<std::string> ReadSecret(const SecretOption& option) {
  std::string variable = ops::EnvironmentName(option.flag);
  variable.resize(variable.rfind('_'));  // without _FILE
  auto secret = ReadSecret(option.file, variable.c_str());
  if (secret.ok()) return secret;
  return absl::Status(
      secret.status().code(),
      absl::StrCat("no ", option.name, ": ", secret.status().message(), "; ",
                   option.flag, " or ", variable, " gives it"));
}

bool SecretsEqual(const std::string& a, const std::string& b) {
  const Digest digest_a = DigestOf(a);
  const Digest digest_b = DigestOf(b);
  return CRYPTO_memcmp(digest_a.data(), digest_b.data(), digest_a.size()) == 0;
}

int Fail(const absl::Status& status) {
  std::cerr << "userprofile-adapter: " << std::string(status.message())
            << std::endl;
  return absl::IsInvalidArgument(status) ? ops::kWrongUsage : ops::kFailed;
}

}  // namespace userprofile::adapter
