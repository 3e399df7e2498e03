#ifndef USERPROFILE_SERVER_STORE_CHANGES_H_
#define USERPROFILE_SERVER_STORE_CHANGES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/store/profile_store.h"
#include "server/store/scans.h"
#include "server/store/session_executor.h"

namespace userprofile::store {

// Reads what changed, from the table of changes; `result` is what to answer if
// the statement is OK.
absl::Status RunChanges(SessionExecutor& by, const ChangesCall& call,
                        absl::Status& result);

// For sessions that do: they know the cluster, which gives transactions their
// numbers, as far as the role may.
inline std::string ChangesSettings() {
  return absl::StrCat(
      kScanSettings,
      "; DO $$ BEGIN PERFORM set_config('userprofile.cluster', "
      "system_identifier::text, false) FROM pg_control_system(); EXCEPTION "
      "WHEN OTHERS THEN SET userprofile.cluster = ''; END $$");
}

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_CHANGES_H_
