#include "server/schema/obstacles.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/postgres/errors.h"
#include "server/schema/inspector.h"
#include "server/schema/remedies.h"
#include "server/schema/report.h"

namespace userprofile::schema {
namespace {

// What was built on columns ($1) that have another type than they must have
// ($2), and the SQL that drops it; whether PostgreSQL never alters the type
// under it.
constexpr postgres::Statement kFindDependents = {
    "find_dependents",
    "SELECT DISTINCT pg_describe_object(classid, objid, 0), firm, sql FROM ("
    "  SELECT d.classid, d.objid, false AS firm,"
    "   pg_catalog.format('ALTER TABLE users DROP CONSTRAINT %I', conname)"
    "    AS sql, d.refobjsubid"
    "  FROM pg_depend AS d JOIN pg_constraint AS c ON c.oid = d.objid"
    "  WHERE d.classid = 'pg_constraint'::regclass AND contype IN ('c', 'x')"
    "   AND d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid = to_regclass('users')"
    "  UNION ALL SELECT d.classid, d.objid, false,"
    "   pg_catalog.format('DROP INDEX %s', indexrelid::regclass),"
    "   d.refobjsubid"
    "  FROM pg_depend AS d JOIN pg_index AS i ON indexrelid = d.objid"
    "  WHERE d.classid = 'pg_class'::regclass AND (indexprs IS NOT NULL"
    "    OR indpred IS NOT NULL)"
    "   AND d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid = to_regclass('users')"
    "  UNION ALL SELECT 'pg_class'::regclass, ev_class, true,"
    "   pg_catalog.format(CASE relkind WHEN 'm' THEN 'DROP MATERIALIZED VIEW"
    " %s' ELSE 'DROP VIEW %s' END, ev_class::regclass), d.refobjsubid"
    "  FROM pg_depend AS d JOIN pg_rewrite AS w ON w.oid = d.objid"
    "  JOIN pg_class AS v ON v.oid = ev_class AND relkind IN ('v', 'm')"
    "  WHERE d.classid = 'pg_rewrite'::regclass"
    "   AND d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid = to_regclass('users')"
    "  UNION ALL SELECT d.classid, d.objid, true,"
    "   pg_catalog.format('DROP POLICY %I ON users', polname), d.refobjsubid"
    "  FROM pg_depend AS d JOIN pg_policy AS p ON p.oid = d.objid"
    "  WHERE d.classid = 'pg_policy'::regclass"
    "   AND d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid = to_regclass('users')"
    "  UNION ALL SELECT d.classid, d.objid, true, pg_catalog.format("
    "   'DROP TRIGGER %I ON users', tgname), d.refobjsubid"
    "  FROM pg_depend AS d JOIN pg_trigger AS t ON t.oid = d.objid"
    "  WHERE d.classid = 'pg_trigger'::regclass"
    "   AND d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid = to_regclass('users')"
    "  UNION ALL SELECT 'pg_class'::regclass, inhparent, true,"
    "   pg_catalog.format('ALTER TABLE users NO INHERIT %s',"
    "    inhparent::regclass), attnum"
    "  FROM pg_inherits JOIN pg_attribute ON attrelid = inhrelid"
    "  WHERE inhrelid = to_regclass('users') AND attinhcount > 0"
    " ) AS dependent"
    " JOIN pg_attribute AS a ON attrelid = to_regclass('users')"
    "  AND attnum = refobjsubid AND NOT attisdropped"
    " JOIN unnest($1::text[], $2::text[]) AS wanted (name, type)"
    "  ON attname = wanted.name"
    " WHERE format_type(atttypid, atttypmod) <> wanted.type"
    // These two differ in name only, and are left as they are then.
    "  AND NOT (wanted.type IN ('text', 'character varying')"
    "   AND format_type(atttypid, atttypmod) IN ('text', 'character varying'))"
    " ORDER BY 1"};

// Constraints that old rows may break, and the condition of each.
constexpr postgres::Statement kFindPromises = {
    "find_promises",
    "SELECT quote_ident(conname::text), pg_get_expr(conbin, conrelid)"
    " FROM pg_constraint WHERE conrelid = to_regclass('users')"
    "  AND contype = 'c' AND NOT convalidated"
    "  AND conname <> 'userprofile_never_null' ORDER BY 1"};

std::string LineFor(const Breach& breach) {
  return absl::StrCat(Describe(breach), "; ", breach.remedy);
}

absl::StatusOr<postgres::Rows> FindDependents(postgres::Session& session) {
  postgres::ArrayLiteral names;
  postgres::ArrayLiteral types;
  for (const Column& column : UsersContract().columns) {
    names.AppendText(column.name);
    types.AppendText(column.type);
  }
  return session.Execute(kFindDependents, {names.Finish(), types.Finish()});
}

// Users that a key could not hold, and those that would break a constraint as
// soon as they are updated.
absl::Status FindRows(postgres::Session& session, const Report& report,
                      std::vector<std::string>& lines) {
  bool has_id = true;
  bool has_key = true;
  for (const Breach& breach : report.breaches) {
    if (breach.object == "users primary key") has_key = false;
    if (breach.object == "users.user_id" && breach.found == kMissing) {
      has_id = false;
    }
  }
  if (has_id && !has_key) {
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows rows,
        session.ExecuteScript(
            "SELECT (SELECT count(*) FROM users WHERE user_id IS NULL),"
            " (SELECT count(*) FROM (SELECT FROM users WHERE user_id IS NOT"
            "  NULL GROUP BY user_id HAVING count(*) > 1) AS twice)"));
    if (rows.Int64(0, 0) > 0) {
      lines.push_back(absl::StrCat(
          rows.Text(0, 0),
          " rows of users have no user_id; find out whose they are, or delete "
          "them: SELECT * FROM users WHERE user_id IS NULL"));
    }
    if (rows.Int64(0, 1) > 0) {
      lines.push_back(absl::StrCat(
          rows.Text(0, 1),
          " users have more than one row; decide which one stays: SELECT "
          "user_id, count(*) FROM users GROUP BY user_id HAVING count(*) > 1"));
    }
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows promises,
                               session.Execute(kFindPromises, {}));
  for (std::size_t i = 0; i < promises.size(); ++i) {
    const std::string broken =
        absl::StrCat("FROM users WHERE NOT (", promises.Text(i, 1), ")");
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows rows,
        session.ExecuteScript(absl::StrCat("SELECT count(*) ", broken)));
    if (rows.Int64(0, 0) == 0) continue;
    lines.push_back(absl::StrCat(
        rows.Text(0, 0), " rows of users break the constraint ",
        promises.Text(i, 0),
        ", so that they can't be updated: ALTER TABLE users DROP CONSTRAINT ",
        promises.Text(i, 0), "; or, if it shall hold, mend them: SELECT * ",
        broken));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FindObstacles(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations, bool new_table) {
  USERPROFILE_ASSIGN_OR_RETURN(const Report report,
                               Inspect(session, migrations));
  std::vector<std::string> lines;
  for (const Breach& breach : report.breaches) {
    const bool is_elsewhere =
        breach.object == kSchemaOfUsers ||
        (breach.object == UsersContract().table && breach.found == kMissing);
    // 008 refuses whatever has an index's name.
    if ((breach.severity == Severity::kBlocking || breach.index != nullptr) &&
        breach.fault == Fault::kForPerson && breach.remedy != kRunMigrations &&
        !(new_table && is_elsewhere)) {
      lines.push_back(LineFor(breach));
    }
  }
  if (lines.empty() && !report.schema.empty()) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows dependents,
                                 FindDependents(session));
    for (std::size_t i = 0; i < dependents.size(); ++i) {
      if (!dependents.Bool(i, 1)) continue;
      lines.push_back(absl::StrCat(
          dependents.Text(i, 0),
          " keeps a column's type, which must change; "
          "drop what depends on the column, or its parent, migrate, and create "
          "it again: ",
          dependents.Text(i, 2)));
    }
  }
  // Of rows only a table tells that can be read.
  bool may_read = true;
  for (const Breach& breach : report.breaches) {
    may_read = may_read && breach.fault != Fault::kRightsMissing &&
               breach.found != "row-level security";
  }
  if (may_read && !report.schema.empty()) {
    USERPROFILE_RETURN_IF_ERROR(FindRows(session, report, lines));
  }
  return absl::StrJoin(lines, "\n");
}

std::string ExplainObstacle(postgres::Session& session,
                            const absl::Status& failure) {
  const std::string state = postgres::SqlState(failure);
  const std::string said =
      absl::StrCat("PostgreSQL says \"", failure.message(), "\"; ");
  if (state == "42501") {
    return absl::StrCat(said, "migrate as the role that owns users");
  }
  if (state == "23514") {
    return absl::StrCat(said,
                        "a row breaks that constraint as soon as it is "
                        "updated; mend the row, or drop the constraint");
  }
  // A function, an operator or a cast for the new type, a value that is none.
  if (state != "42883" && state != "42804" && state != "42846" &&
      state != "0A000" && state != "2BP01" && state != "42P16" &&
      state != "42P17") {
    return "";
  }
  const auto dependents = FindDependents(session);
  if (!dependents.ok() || dependents->empty()) return "";
  std::vector<std::string> drops;
  for (std::size_t i = 0; i < dependents->size(); ++i) {
    drops.emplace_back(dependents->Text(i, 2));
  }
  return absl::StrCat(said,
                      "drop what depends on columns whose type must change, "
                      "migrate, and create it again: ",
                      absl::StrJoin(drops, "; "));
}

}  // namespace userprofile::schema
