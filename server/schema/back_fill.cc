#include "server/schema/back_fill.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/schema/history.h"

namespace userprofile::schema {
namespace {

constexpr postgres::Statement kNextBatch = {
    "next_batch",
    "SELECT max(user_id), count(*) FROM (SELECT user_id FROM users"
    " WHERE user_id > $1 ORDER BY user_id LIMIT $2::integer) AS batch"};

// As the last ANALYZE found them; -1 or 0 if there was none.
constexpr postgres::Statement kEstimateUsers = {
    "estimate_users",
    "SELECT reltuples::bigint FROM pg_class WHERE oid = 'users'::regclass"};

constexpr absl::Duration kTellInterval = absl::Seconds(2);
constexpr absl::Duration kLongestRest = absl::Seconds(1);

std::string Progress(const std::string& label, std::int64_t done,
                     std::int64_t estimate) {
  if (estimate < done) return absl::StrCat(label, ": ", done, " users");
  return absl::StrFormat("%s: %d of about %d users (%d%%)", label, done,
                         estimate, 100 * done / estimate);
}

}  // namespace

absl::Status BackFill(postgres::Session& session,
                      const migrations::Migration& migration,
                      const DdlOptions& options, int batch_rows) {
  const std::string label = Label(migration.version, migration.name);
  const std::string sql(migration.sql);
  const postgres::Statement fill = {label.c_str(), sql.c_str()};
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows estimate,
                               session.Execute(kEstimateUsers, {}));

  std::string after = absl::StrCat(std::numeric_limits<std::int64_t>::min());
  std::int64_t done = 0;
  base::SteadyTime told = base::SteadyTime::Now();
  while (true) {
    const base::SteadyTime start = base::SteadyTime::Now();
    postgres::Rows batch;
    USERPROFILE_RETURN_IF_ERROR(
        InDdlTransaction(session, options, label, [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(
              batch,
              session.Execute(kNextBatch, {after, absl::StrCat(batch_rows)}));
          if (batch.IsNull(0, 0)) return absl::OkStatus();
          return session.Execute(fill, {after, std::string(batch.Text(0, 0))})
              .status();
        }));
    if (batch.IsNull(0, 0)) return absl::OkStatus();
    after = std::string(batch.Text(0, 0));
    done += batch.Int64(0, 1);

    const base::SteadyTime now = base::SteadyTime::Now();
    if (now - told >= kTellInterval) {
      spdlog::info(Progress(label, done, estimate.Int64(0, 0)));
      told = now;
    }
    if (options.give_up()) {
      return absl::CancelledError("gave up; the next run does the rest");
    }
    absl::SleepFor(std::min(now - start, kLongestRest));
  }
}

}  // namespace userprofile::schema
