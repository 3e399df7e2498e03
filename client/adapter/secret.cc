#include "client/adapter/secret.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/read_file.h"

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

absl::StatusOr<std::string> ReadSecret(const std::string& file,
                                       const char* variable) {
  std::string secret;
  if (!file.empty()) {
    auto content = base::ReadSettingsFile(file);
    if (!content.ok()) return content.status();
    secret = *std::move(content);
  } else if (const char* value = std::getenv(variable)) {
    secret = value;
  }
  absl::StripAsciiWhitespace(&secret);
  if (secret.empty()) {
    return absl::InvalidArgumentError(
        file.empty() ? absl::StrCat(variable, " is not set")
                     : absl::StrCat(file, " is empty"));
  }
  return secret;
}

bool SecretsEqual(const std::string& a, const std::string& b) {
  const Digest digest_a = DigestOf(a);
  const Digest digest_b = DigestOf(b);
  return CRYPTO_memcmp(digest_a.data(), digest_b.data(), digest_a.size()) == 0;
}

}  // namespace userprofile::adapter
