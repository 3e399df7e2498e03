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

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Of equal length for texts of any length.
Digest DigestOf(const std::string& text) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest.data());
  return digest;
}

}  // namespace

absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
    const ServiceOptions& options) {
  auto client = programs::MakeClient(options);
  if (!client.ok()) return client.status();
  return std::make_unique<BatchingClient>(*std::move(client),
                                          options.client_options.timeout);
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
  ops::AddFlag(command, option.flag, option.file,
               absl::StrCat("A file that holds the ", option.name))
      .TypeName("FILE");
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
