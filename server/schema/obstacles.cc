#include "server/schema/obstacles.h"

#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/postgres/errors.h"
#include "server/postgres/table_names.h"
#include "server/schema/ddl.h"
#include "server/schema/inspector.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

// What was built on the columns $1 of users, whether PostgreSQL never alters
// their type under it, and the SQL that drops it.
constexpr postgres::Statement kFindDependents = {
    "find_dependents",
    "SELECT DISTINCT pg_describe_object(classid, objid, 0), firm, sql FROM ("
    "  SELECT coalesce(v.tableoid, d.classid) AS classid,"
    "   coalesce(v.oid, d.objid) AS objid, d.refobjsubid AS num,"
    "   c.oid IS NULL AND i.indexrelid IS NULL AS firm,"
    "   CASE WHEN c.oid IS NOT NULL"
    "     THEN format('ALTER TABLE %s DROP CONSTRAINT %I', :'users',"
    "      conname)"
    "    WHEN i.indexrelid IS NOT NULL"
    "     THEN format('DROP INDEX %s', indexrelid::regclass)"
    "    WHEN v.oid IS NOT NULL"
    "     THEN format(CASE relkind WHEN 'm'"
    "      THEN 'DROP MATERIALIZED VIEW %s' ELSE 'DROP VIEW %s' END,"
    "      v.oid::regclass)"
    "    WHEN p.oid IS NOT NULL"
    "     THEN format('DROP POLICY %I ON %s', polname, :'users')"
    "    WHEN t.oid IS NOT NULL"
    "     THEN format('DROP TRIGGER %I ON %s', tgname, :'users')"
    "    END AS sql"
    "  FROM pg_depend AS d"
    "  LEFT JOIN pg_constraint AS c ON c.oid = d.objid"
    "   AND c.tableoid = d.classid AND contype IN ('c', 'x')"
    "  LEFT JOIN pg_index AS i ON indexrelid = d.objid"
    "   AND d.classid = 'pg_class'::regclass"
    "   AND (indexprs IS NOT NULL OR indpred IS NOT NULL)"
    "  LEFT JOIN pg_rewrite AS w ON w.oid = d.objid AND w.tableoid = d.classid"
    "  LEFT JOIN pg_class AS v ON v.oid = ev_class AND relkind IN ('v', 'm')"
    "  LEFT JOIN pg_policy AS p ON p.oid = d.objid AND p.tableoid = d.classid"
    "  LEFT JOIN pg_trigger AS t ON t.oid = d.objid AND t.tableoid = d.classid"
    "  WHERE d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid = to_regclass(:'users')"
    "  UNION ALL SELECT 'pg_class'::regclass, inhparent, attnum, true,"
    "   format('ALTER TABLE %s NO INHERIT %s', :'users',"
    "    inhparent::regclass)"
    "  FROM pg_inherits JOIN pg_attribute ON attrelid = inhrelid"
    "  WHERE inhrelid = to_regclass(:'users') AND attinhcount > 0"
    " ) AS dependent"
    " JOIN pg_attribute AS a ON attrelid = to_regclass(:'users')"
    "  AND attnum = num AND NOT attisdropped AND attname = ANY ($1::text[])"
    " WHERE sql IS NOT NULL ORDER BY 1"};

// A function, an operator or a cast for the new type, a value that is none.
bool IsOfDependents(const absl::Status& failure) {
  constexpr absl::string_view kStates[] = {"42883", "42804", "42846", "0A000",
                                           "2BP01", "42P16", "42P17"};
  return absl::c_linear_search(kStates, postgres::SqlState(failure));
}

// Of those of `objects` that are columns whose type must change, for more than
// its name.
absl::StatusOr<postgres::Rows> FindDependents(
    postgres::Session& session, const Report& report,
    const std::vector<std::string>& objects) {
  postgres::ArrayLiteral names;
  for (const Breach& breach : report.breaches) {
    if (breach.column != nullptr && breach.expected == breach.column->type &&
        breach.severity == Severity::kBlocking &&
        absl::c_linear_search(objects, breach.object)) {
      names.AppendText(breach.column->name);
    }
  }
  return session.Execute(kFindDependents, {names.Finish()});
}

// How many rows there are, in front of what is to be said of them.
absl::Status CountRows(postgres::Session& session, const Catalog& catalog,
                       absl::string_view from, absl::string_view words,
                       std::vector<std::string>& lines) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.ExecuteScript(absl::StrCat("SELECT count(*) ", from)));
  if (rows.Int64(0, 0) > 0) {
    lines.push_back(absl::StrCat(rows.Text(0, 0),
                                 postgres::NameTables(words, catalog.schema)));
  }
  return absl::OkStatus();
}

// Users that a key could not hold where a person must make it, for else the
// Repairer looks; and those that would break a constraint as soon as they are
// updated.
absl::Status FindRows(postgres::Session& session, const Catalog& catalog,
                      const Report& report, std::vector<std::string>& lines) {
  bool has_other_key = false;
  for (const Breach& breach : report.breaches) {
    has_other_key = has_other_key || (breach.fault == Fault::kForPerson &&
                                      breach.object == "users primary key");
  }
  if (has_other_key &&
      catalog.FindColumn(UsersContract().primary_key) != nullptr) {
    USERPROFILE_RETURN_IF_ERROR(CountRows(
        session, catalog, "FROM :users WHERE user_id IS NULL",
        " rows of users have no user_id; find out whose they are, or delete "
        "them: SELECT * FROM :users WHERE user_id IS NULL",
        lines));
    USERPROFILE_RETURN_IF_ERROR(CountRows(
        session, catalog,
        "FROM (SELECT FROM :users WHERE user_id IS NOT NULL GROUP BY user_id "
        "HAVING count(*) > 1) AS twice",
        " users have more than one row; decide which one stays: SELECT "
        "user_id, count(*) FROM :users GROUP BY user_id HAVING count(*) > 1",
        lines));
  }
  for (const CatalogConstraint& constraint : catalog.constraints) {
    if (constraint.type != "c" || constraint.is_validated) continue;
    const std::string broken =
        absl::StrCat("FROM :users WHERE NOT (", constraint.condition, ")");
    USERPROFILE_RETURN_IF_ERROR(CountRows(
        session, catalog, broken,
        absl::Substitute(
            " rows of users break the constraint $0, so that they can't be "
            "updated: ALTER TABLE :users DROP CONSTRAINT $0; or, if it shall "
            "hold, mend them: SELECT * $1",
            constraint.quoted, broken),
        lines));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOwner(postgres::Session& session) {
  USERPROFILE_ASSIGN_OR_RETURN(const Catalog catalog, ReadOwner(session));
  if (catalog.doubtful_owner.empty()) return absl::OkStatus();
  const Breach breach = JudgeOwner(catalog);
  return base::MakeError(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("nothing was changed: ", Describe(breach), "; ",
                   postgres::NameTables(breach.remedy, catalog.schema)),
      kMigrationRefused);
}

absl::StatusOr<std::string> FindObstacles(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations, bool new_table) {
  USERPROFILE_ASSIGN_OR_RETURN(const Catalog catalog,
                               ReadCatalog(session, migrations, ""));
  const Report report = Judge(catalog);
  std::vector<std::string> lines;
  for (const Breach& breach : report.breaches) {
    const bool is_elsewhere =
        breach.object == kSchemaOfUsers ||
        (breach.object == UsersContract().table && breach.found == kMissing);
    if ((breach.severity == Severity::kBlocking || breach.index != nullptr) &&
        breach.fault == Fault::kForPerson && breach.remedy != kRunMigrations &&
        !(new_table && is_elsewhere)) {
      lines.push_back(absl::StrCat(Describe(breach), "; ", breach.remedy));
    }
  }
  if (!catalog.schema.empty() && catalog.may_read) {
    USERPROFILE_RETURN_IF_ERROR(FindRows(session, catalog, report, lines));
  }
  return absl::StrJoin(lines, "\n");
}

absl::StatusOr<std::vector<std::string>> FindWhatKeepsTypes(
    postgres::Session& session, const Report& report,
    const std::vector<std::string>& objects) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows dependents,
                               FindDependents(session, report, objects));
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < dependents.size(); ++i) {
    if (!dependents.Bool(i, 1)) continue;  // a copy shows whether it does
    lines.push_back(absl::StrCat(
        dependents.Text(i, 0),
        " keeps a column's type, which must change; drop what depends on the "
        "column, or its parent, run this again, and create it again: ",
        dependents.Text(i, 2)));
  }
  return lines;
}

std::string ExplainRefusal(postgres::Session& session,
                           const std::vector<std::string>& objects,
                           const absl::Status& failure) {
  const std::string state = postgres::SqlState(failure);
  if (state == "UP001") return ServersWords(failure);  // a migration's own
  const std::string words =
      absl::StrCat("PostgreSQL says \"", ServersWords(failure), "\"");
  if (IsForLock(failure)) {
    return absl::StrCat("others held the table all the time (", words,
                        "): run this again when their transactions are over");
  }
  if (state == postgres::kInsufficientPrivilege) {
    return absl::StrCat(words, "; run this again as the role that owns users");
  }
  if (state == "42703") {
    return absl::StrCat(words, ": that column must be mended first");
  }
  if (state == "23505") {
    return absl::StrCat(words, ", since just now: run this again");
  }
  if (state == "23514") {
    return absl::StrCat(words,
                        "; a row breaks that constraint as soon as it is "
                        "updated; mend the row, or drop the constraint");
  }
  if (state == "54000") {  // a row that an index can't hold
    for (const Index& index : UsersContract().indexes) {
      if (!absl::c_linear_search(objects, index.name)) continue;
      return absl::StrCat(
          "it can't be built, for a ", index.column,
          " is too long; shorten it, then run 'userprofile-server schema "
          "repair': SELECT user_id FROM ",
          postgres::NameTables(":users", session.FindTables().value_or("")),
          " WHERE octet_length(", index.column, ") > 2000");
    }
  }
  if (IsOfDependents(failure)) {
    const auto report = Inspect(session);
    const auto dependents = report.ok()
                                ? FindDependents(session, *report, objects)
                                : postgres::Rows();
    std::vector<absl::string_view> drops;
    for (std::size_t i = 0; dependents.ok() && i < dependents->size(); ++i) {
      drops.push_back(dependents->Text(i, 2));
    }
    if (!drops.empty()) {
      return absl::StrCat(words,
                          "; drop what depends on columns whose type must "
                          "change, run this again, and create it again: ",
                          absl::StrJoin(drops, "; "));
    }
  }
  if (state == "42P01" || state == "42883" || state == "42704") {
    return absl::StrCat(words,
                        "; if a trigger's function says so, it needs a search "
                        "path of its own, ALTER FUNCTION ... SET search_path: "
                        "'userprofile-server schema check' names it");
  }
  if (state == "0A000" || state == "2BP01") {
    return absl::StrCat(words,
                        ": drop what depends on the column, run this again, "
                        "and create it again");
  }
  return absl::StrCat(words, ": mend that by hand, then run this again");
}

}  // namespace userprofile::schema
