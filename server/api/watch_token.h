#ifndef USERPROFILE_SERVER_API_WATCH_TOKEN_H_
#define USERPROFILE_SERVER_API_WATCH_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/api/sealed_token.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// The token of a watch with that filter that goes on after a place in the table
// of changes, and the place of a token that came in that field of a request;
// see SealToken and OpenToken.
inline std::string WatchToken(absl::string_view key,
                              const v1::ProfileFilter& filter,
                              const store::ChangePlace& place) {
  return SealToken(key, PurposeOf("watch", filter), place);
}

inline absl::StatusOr<store::ChangePlace> PlaceOf(
    absl::string_view key, const v1::ProfileFilter& filter,
    absl::string_view token, const std::string& field) {
  return OpenToken(key, PurposeOf("watch", filter), token, field);
}

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_WATCH_TOKEN_H_
