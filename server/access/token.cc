#include "server/access/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace userprofile::access {

std::string NewToken() {
  unsigned char bytes[32];
  // Without random numbers nothing that the program does is safe.
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) std::abort();
  // 32 bytes end with one "=", which base64url may leave out.
  const std::string text = absl::WebSafeBase64Escape(
      absl::string_view(reinterpret_cast<char*>(bytes), sizeof(bytes)));
  return absl::StrCat("up_", absl::StrReplaceAll(text, {{"=", ""}}));
}

TokenHash HashOf(absl::string_view token) {
  // Found once: looking an algorithm up takes longer than hashing a token.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  TokenHash hash;
  if (EVP_Digest(token.data(), token.size(), hash.data(), nullptr, sha256,
                 nullptr) != 1) {
    std::abort();
  }
  return hash;
}

bool Equal(const TokenHash& a, const TokenHash& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string ToHex(const TokenHash& hash) {
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(hash.data()), hash.size()));
}

absl::optional<TokenHash> ParseTokenHash(absl::string_view hex) {
  TokenHash hash;
  if (hex.size() != 2 * hash.size() ||
      !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
    return absl::nullopt;
  }
  const std::string bytes = absl::HexStringToBytes(hex);
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

}  // namespace userprofile::access
