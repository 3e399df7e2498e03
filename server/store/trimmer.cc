#include "server/store/trimmer.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/store/statements.h"
#include "spdlog/spdlog.h"

namespace userprofile::store {
namespace {

// What one statement deletes, and passes by, at most.
constexpr int kBatch = 1000;
constexpr std::int64_t kStep = 50'000;

// How soon to look again whether it may.
constexpr absl::Duration kSoon = absl::Seconds(1);

postgres::Parameters KeyOf(const postgres::Rows& rows) {
  return {std::string(rows.Text(0, 0)), std::string(rows.Text(0, 1)),
          std::string(rows.Text(0, 2))};
}

}  // namespace

Trimmer::Trimmer(postgres::SessionFactory connect, TrimmerOptions options)
    : connect_(std::move(connect)),
      options_(std::move(options)),
      thread_([this] {
        if (!options_.may_write()) return std::min(kSoon, options_.interval);
        const absl::Status status = Trim();
        if (!status.ok()) {
          spdlog::warn(
              "old changes of users, or expired sessions, are not deleted, and "
              "will be tried again; if this goes on, 'userprofile-server "
              "schema check' may say why: "
              "{}",
              status.ToString());
        }
        return options_.interval;
      }) {}

absl::Status Trimmer::Trim() {
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, connect_());
  // By the primary key, whatever the table was like when it was last analyzed.
  USERPROFILE_RETURN_IF_ERROR(
      session
          ->ExecuteScript(
              "SET enable_seqscan = off; SET enable_bitmapscan = off")
          .status());
  // One server does it for all; until its session ends.
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows turn,
      session->ExecuteScript(
          "SELECT pg_try_advisory_lock(hashtext('userprofile_changes'), 0)"));
  if (!turn.Bool(0, 0)) return absl::OkStatus();
  absl::Status trimmed = TrimChanges(*session);
  trimmed.Update(TrimSessions(*session));
  return trimmed;
}

absl::Status Trimmer::TrimChanges(postgres::Session& session) {
  const std::string batch = absl::StrCat(kBatch);
  for (bool all_discarded = false; !all_discarded && !thread_.stopping();) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows discarded,
                                 session.Execute(kDiscardChanges, {batch}));
    all_discarded = discarded.Int64(0, 0) < kBatch;
  }
  USERPROFILE_ASSIGN_OR_RETURN(const Key surplus, FindSurplus(session));
  const std::string age = absl::StrCat(
      absl::ToInt64Microseconds(options_.kept_for), " microseconds");
  // From one batch to the next, and not again past all that was deleted.
  Key after = {"0", "0", "0"};
  while (!thread_.stopping()) {
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows rows,
        session.Execute(kTrimChanges, {age, surplus[0], surplus[1], surplus[2],
                                       after[0], after[1], after[2], batch}));
    if (rows.empty()) break;
    after = KeyOf(rows);
  }
  return absl::OkStatus();
}

absl::Status Trimmer::TrimSessions(postgres::Session& session) {
  std::size_t trimmed = kBatch;
  while (trimmed == kBatch && !thread_.stopping() &&
         options_.may_use_sessions()) {
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows rows,
        session.Execute(kTrimSessions, {absl::StrCat(kBatch)}));
    trimmed = rows.affected();
  }
  return absl::OkStatus();
}

absl::StatusOr<Trimmer::Key> Trimmer::FindSurplus(postgres::Session& session) {
  const std::string last =
      absl::StrCat(std::numeric_limits<std::int64_t>::max());
  Key key = {absl::StrCat(std::numeric_limits<std::uint64_t>::max()), last,
             last};
  for (std::int64_t left = options_.kept; left > 0; left -= kStep) {
    if (thread_.stopping()) return Key(key.size());
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows rows,
        session.Execute(kFindSurplus, {key[0], key[1], key[2],
                                       absl::StrCat(std::min(left, kStep))}));
    if (rows.empty()) return Key(key.size());
    key = KeyOf(rows);
  }
  return key;
}

}  // namespace userprofile::store
