#include "server/postgres/given_up_backends.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/postgres/errors.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::postgres {
namespace {

constexpr Statement kFindBackends = {
    "find_given_up",
    "SELECT pid, backend_start, wait_event FROM pg_catalog.pg_stat_activity"
    " WHERE pid = ANY ($1::int4[])"};

}  // namespace

void GivenUpBackends::Add(const ServerIdentity& backend) {
  if (backend.pid.empty()) return;
  base::MutexLock lock(mutex_);
  backends_.push_back({backend.pid, backend.started});
}

absl::Status GivenUpBackends::Check(Session& session, std::size_t most) {
  std::vector<Backend> asked;
  {
    base::MutexLock lock(mutex_);
    asked = backends_;
  }
  if (asked.empty()) return absl::OkStatus();
  const std::string pids = absl::StrJoin(
      asked, ",", [](std::string* out, const Backend& b) { *out += b.pid; });
  USERPROFILE_ASSIGN_OR_RETURN(
      const Rows rows,
      session.Execute(kFindBackends, {absl::StrCat("{", pids, "}")}));
  std::vector<Backend> gone = asked;
  std::size_t left = 0;
  bool wait_for_standby = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto found = std::find(
        gone.begin(), gone.end(),
        Backend{std::string(rows.Text(i, 0)), std::string(rows.Text(i, 1))});
    if (found == gone.end()) continue;  // the number is another's by now
    gone.erase(found);
    ++left;
    if (rows.Text(i, 2) == "SyncRep") wait_for_standby = true;
  }
  {
    base::MutexLock lock(mutex_);
    const auto is_gone = [&](const Backend& backend) {
      return std::find(gone.begin(), gone.end(), backend) != gone.end();
    };
    backends_.erase(std::remove_if(backends_.begin(), backends_.end(), is_gone),
                    backends_.end());
  }
  if (left <= most) return absl::OkStatus();
  const std::string text = absl::StrCat(
      left, " statements whose connections were given up still ",
      wait_for_standby ? "wait for the synchronous standby" : "run",
      " in PostgreSQL: there are no new connections until they end");
  if (!wait_for_standby) return ConnectionLost(text);
  return base::MakeError(absl::StatusCode::kUnavailable, text,
                         v1::ERROR_REASON_REPLICATION_STALLED);
}

}  // namespace userprofile::postgres
