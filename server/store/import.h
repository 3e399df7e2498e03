#ifndef USERPROFILE_SERVER_STORE_IMPORT_H_
#define USERPROFILE_SERVER_STORE_IMPORT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/postgres/session.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::store {

// A user as another system knew them: of the profile user_id, identity,
// answers, times of the past and attributes count, each if it is there; all of
// them valid.
struct ImportedUser {
  v1::Profile profile;

  // Absent: active; onboarded if there are a real name and a nickname.
  absl::optional<bool> is_active;
  absl::optional<bool> onboarding_completed;

  // Set by ImportUsers: what of it could not be stored; OK if all was.
  // ALREADY_EXISTS: another user has the nickname, and this one is stored
  // without. Else the user is not stored: the database refuses the row.
  absl::Status result;

  // Set, too: the user has others already, and not all would fit.
  bool attributes_left_out = false;
};

struct ImportCounts {
  std::int64_t created = 0;
  std::int64_t changed = 0;
};

// Stores users who were known elsewhere, all of different ids. Who is not there
// is created; of who is, only what is missing is filled in: empty texts and
// attributes that they have not, the older created_at, newer other times, and
// onboarding_completed if it becomes true. It is no contact, and the same again
// changes nothing. Watches are told of what changed. In a dry run all of that
// is taken back.
//
// Errors are those of the session, with nothing known of the users; to be done
// again then.
absl::StatusOr<ImportCounts> ImportUsers(postgres::Session& session,
                                         absl::Span<ImportedUser> users,
                                         absl::Time now, bool dry_run = false);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_IMPORT_H_
