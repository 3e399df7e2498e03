#include "server/schema/write_trial.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/limits.h"
#include "server/postgres/errors.h"
#include "server/schema/ddl.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

// Not a role with which the owner's triggers gain rights: neither the session's
// (a report may be about another one) nor, where it was set, the one that began
// the session, for a function can take the set one back. A superuser's triggers
// gain none. pg_read_all_stats is what roles.sql grants to the role that
// serves.
constexpr postgres::Statement kMayTry = {
    "may_try_to_write",
    "SELECT bool_and(has_table_privilege(c.oid, 'SELECT')"
    "  AND has_table_privilege(c.oid, 'INSERT')"
    "  AND has_table_privilege(c.oid, 'UPDATE')"
    "  AND (me.oid = o.oid OR o.rolsuper OR NOT (me.rolsuper"
    "   OR me.rolcreaterole OR me.rolcreatedb OR me.rolbypassrls"
    "   OR me.rolreplication OR pg_has_role(me.oid, o.oid, 'MEMBER')"
    "   OR EXISTS (SELECT FROM pg_roles AS p"
    "    WHERE starts_with(p.rolname::text, 'pg_')"
    "     AND p.rolname <> 'pg_read_all_stats'"
    "     AND pg_has_role(me.oid, p.oid, 'MEMBER')))))"
    " FROM pg_class AS c JOIN pg_roles AS o ON o.oid = c.relowner"
    " JOIN pg_roles AS me ON me.rolname IN (session_user, current_user)"
    " WHERE c.oid = :'users'::regclass"};

constexpr char kLimits[] =
    "SET LOCAL lock_timeout = 200; SET LOCAL statement_timeout = 2000";

// What is said of a table, a function or an operator, another object, or a
// schema that is not there.
constexpr absl::string_view kNotFound[] = {"42P01", "42883", "42704", "3F000"};

// A value of the column's type, and another one. No two trials write the same
// nickname, so that none waits for another. Times are those that contacts of
// now have: a function may keep a table for each month.
std::string Value(const Column& column, bool first) {
  const absl::string_view type = column.type;
  if (type == "boolean") return first ? "true" : "false";
  if (type == "bigint") return first ? "1" : "2";
  if (absl::StartsWith(type, "timestamp")) {
    return first ? "now()" : "now() + interval '1 second'";
  }
  const char* letter = first ? "'a'" : "'b'";
  if (type == "jsonb") {
    return absl::StrCat("jsonb_build_object(", letter, ", $1::text)");
  }
  return absl::StrCat(letter, " || $1::text");
}

std::string Insert() {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const Column& column : UsersContract().columns) {
    const bool is_key =
        column.name == absl::string_view(UsersContract().primary_key);
    names.push_back(column.name);
    values.push_back(is_key ? "$1::text::bigint" : Value(column, true));
  }
  return absl::StrCat("INSERT INTO :users (", absl::StrJoin(names, ", "),
                      ") VALUES (", absl::StrJoin(values, ", "), ")");
}

std::string Update() {
  const absl::string_view key = UsersContract().primary_key;
  std::vector<std::string> sets;
  for (const Column& column : UsersContract().columns) {
    if (column.name == key) continue;
    sets.push_back(absl::StrCat(column.name, " = ", Value(column, false)));
  }
  return absl::StrCat("UPDATE :users SET ", absl::StrJoin(sets, ", "),
                      " WHERE ", key, " = $1::text::bigint");
}

absl::Status WriteAndForget(postgres::Session& session) {
  static const auto& insert = *new std::string(Insert());
  static const auto& update = *new std::string(Update());
  absl::BitGen random;
  const std::string user_id = absl::StrCat(absl::Uniform<std::int64_t>(
      random, base::kMaxUserId + 1, 2 * base::kMaxUserId));
  return postgres::InTransaction(session, [&]() -> absl::Status {
    absl::Status status = session.ExecuteScript(kLimits).status();
    if (status.ok()) {
      status =
          session.Execute({"try_insert", insert.c_str()}, {user_id}).status();
    }
    if (status.ok()) {
      status =
          session.Execute({"try_update", update.c_str()}, {user_id}).status();
    }
    // Of triggers that wait for the commit.
    if (status.ok()) {
      status = session.ExecuteScript("SET CONSTRAINTS ALL IMMEDIATE").status();
    }
    return status.ok() ? absl::CancelledError("not to be kept") : status;
  });
}

}  // namespace

absl::optional<Breach> TryToWrite(postgres::Session& session,
                                  const Report& report) {
  if (report.search_paths.empty() || !report.ToStatus().ok()) return {};
  const auto may_try = session.Execute(kMayTry, {});
  if (!may_try.ok() || may_try->empty() || !may_try->Bool(0, 0)) return {};
  const absl::Status status = WriteAndForget(session);
  if (!absl::c_linear_search(kNotFound, postgres::SqlState(status))) return {};
  return Breach{
      Severity::kAdvisory,
      Fault::kForPerson,
      UsersContract().table,
      "writes that find all that they call",
      absl::StrCat("a write that was tried fails, PostgreSQL says \"",
                   ServersWords(status), "\""),
      absl::StrCat(kByPerson,
                   "sessions of the service find what has its schema before "
                   "its name, and nothing else; full names in the function "
                   "that says so, or the search path that it had, in which "
                   "others should not be able to create: ",
                   absl::StrJoin(report.search_paths, "; "))};
}

}  // namespace userprofile::schema
