#ifndef USERPROFILE_SERVER_API_SEALED_TOKEN_H_
#define USERPROFILE_SERVER_API_SEALED_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {

// What the server tells itself by way of a caller, such as where a list goes
// on: text that nobody can make or change who does not know the key. It can be
// read by who takes the trouble, so it holds nothing that the caller may not
// know.
//
// A token is base64url of HMAC-SHA-256 (of purpose and content) and content.
// Those of one purpose, such as "list", are worth nothing for another. `key` is
// what ProfileStore::ReadTokenKey reads.
std::string SealToken(absl::string_view key, absl::string_view purpose,
                      absl::string_view content);

// The content of a token, which came in that field of a request.
// INVALID_ARGUMENT with reason INVALID_FIELDS, naming the field, if the token
// is not one that SealToken made with this key and for this purpose.
absl::StatusOr<std::string> OpenToken(absl::string_view key,
                                      absl::string_view purpose,
                                      absl::string_view token,
                                      const std::string& field);

// The purpose of what goes through those users: of another filter it is another
// one.
std::string PurposeOf(absl::string_view what, const v1::ProfileFilter& filter);

// That error, for content that is not what it has to be either.
absl::Status InvalidToken(const std::string& field);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_SEALED_TOKEN_H_
