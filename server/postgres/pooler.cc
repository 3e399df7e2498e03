#include "server/postgres/pooler.h"

#include "base/status_macros.h"
#include "server/postgres/errors.h"

namespace userprofile::postgres {
namespace {

constexpr char kPid[] = "SELECT pg_catalog.pg_backend_pid()";

// Others can take the backend in between, so one try can miss it.
constexpr int kTries = 2;

}  // namespace

absl::Status CheckPooler(Session& session, const std::string& pid,
                         const SessionFactory& connect) {
  const auto second = connect();
  if (!second.ok()) return absl::OkStatus();
  for (int i = 0; i < kTries; ++i) {
    const auto other = (*second)->ExecuteScript(kPid);
    if (!other.ok()) return absl::OkStatus();
    if (other->Text(0, 0) == pid) return PoolerUnsupported("");
    // It holds what it has for as long as it is in a transaction.
    if (!(*second)->ExecuteScript("BEGIN").ok()) return PoolerUnsupported("");
    USERPROFILE_ASSIGN_OR_RETURN(const Rows again, session.ExecuteScript(kPid));
    if (again.Text(0, 0) != pid) return PoolerUnsupported("");
    USERPROFILE_RETURN_IF_ERROR((*second)->ExecuteScript("ROLLBACK").status());
  }
  return absl::OkStatus();
}

}  // namespace userprofile::postgres
