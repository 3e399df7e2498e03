#include "server/postgres/server_identity.h"

#include "absl/strings/numbers.h"
#include "server/postgres/errors.h"

namespace userprofile::postgres {

const char* const kIdentitySql[kIdentityForms] = {
    "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.to_hex("
    // The second runs ahead of the first; the third, which not every role may
    // see, of both.
    "GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),"
    " (SELECT min_recovery_end_timeline"
    " FROM pg_catalog.pg_control_recovery()),"
    " (SELECT received_tli FROM pg_catalog.pg_stat_get_wal_receiver())))"
    " ELSE pg_catalog.left(pg_catalog.pg_walfile_name("
    "pg_catalog.pg_current_wal_lsn()), 8) END,"
    " pg_catalog.current_setting('transaction_read_only'),"
    " pg_catalog.pg_backend_pid(),"
    " (SELECT backend_start FROM pg_catalog.pg_stat_get_activity("
    "pg_catalog.pg_backend_pid()))",
    "SELECT NULL,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL"
    " ELSE pg_catalog.left(pg_catalog.pg_walfile_name("
    "pg_catalog.pg_current_wal_lsn()), 8) END,"
    " pg_catalog.current_setting('transaction_read_only'),"
    " pg_catalog.pg_backend_pid(),"
    " (SELECT backend_start FROM pg_catalog.pg_stat_get_activity("
    "pg_catalog.pg_backend_pid()))",
};

ServerIdentity IdentityOf(absl::string_view system_identifier,
                          absl::string_view timeline,
                          absl::string_view read_only) {
  ServerIdentity identity;
  identity.system_identifier = std::string(system_identifier);
  if (!absl::SimpleHexAtoi(timeline, &identity.timeline)) {
    identity.timeline = 0;
  }
  identity.takes_writes = read_only == "off";
  return identity;
}

absl::StatusOr<ServerIdentity> AskIdentity(Session& session) {
  absl::StatusOr<Rows> rows;
  for (const char* sql : kIdentitySql) {
    rows = session.ExecuteScript(sql);
    if (SqlState(rows.status()) != kInsufficientPrivilege) break;
  }
  if (!rows.ok()) return rows.status();
  ServerIdentity identity =
      IdentityOf(rows->Text(0, 0), rows->Text(0, 1), rows->Text(0, 2));
  identity.pid = std::string(rows->Text(0, 3));
  identity.started = std::string(rows->Text(0, 4));
  return identity;
}

}  // namespace userprofile::postgres
