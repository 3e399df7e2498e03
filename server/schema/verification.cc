#include "server/schema/verification.h"

#include "base/status_macros.h"
#include "server/schema/history.h"
#include "server/schema/inspector.h"

namespace userprofile::schema {

absl::StatusOr<Verification> Verify(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations) {
  Verification result;
  USERPROFILE_ASSIGN_OR_RETURN(const std::vector<MigrationStatus> history,
                               ReadMigrationStatus(session, migrations));
  for (const MigrationStatus& entry : history) {
    if (entry.state == MigrationState::kApplied) continue;
    (entry.state == MigrationState::kUnknown ? result.notes : result.faults)
        .push_back(Explain(entry));
  }
  USERPROFILE_ASSIGN_OR_RETURN(const Report report,
                               Inspect(session, migrations));
  for (const Breach& breach : report.breaches) {
    result.faults.push_back(Describe(breach));
  }
  return result;
}

}  // namespace userprofile::schema
