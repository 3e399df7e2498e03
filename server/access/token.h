#ifndef USERPROFILE_SERVER_ACCESS_TOKEN_H_
#define USERPROFILE_SERVER_ACCESS_TOKEN_H_

#include <array>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace userprofile::access {

// A token is what a caller shows to be let in: "up_", and 256 random bits in
// base64url. Nobody can guess one, so a plain hash is enough to keep it secret:
// the server is given its SHA-256 only.
std::string NewToken();

using TokenHash = std::array<unsigned char, 32>;

// The SHA-256 of a token, or of any text that is shown as one.
TokenHash HashOf(absl::string_view token);

// In a time that does not tell where they differ.
bool Equal(const TokenHash& a, const TokenHash& b);

// 64 hexadecimal digits, as sha256sum prints them; none if it is not that.
std::string ToHex(const TokenHash& hash);
absl::optional<TokenHash> ParseTokenHash(absl::string_view hex);

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_TOKEN_H_
