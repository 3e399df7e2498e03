#include "server/schema/inspector.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "server/base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/schema/history.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

constexpr postgres::Statement kInspectTable = {
    "inspect_table",
    "SELECT c.oid, c.relkind, c.relpersistence, row_security_active(c.oid),"
    " has_table_privilege(c.oid, 'SELECT'),"
    " has_table_privilege(c.oid, 'INSERT'),"
    " has_table_privilege(c.oid, 'UPDATE'),"
    " (SELECT pg_get_constraintdef(p.oid) FROM pg_constraint AS p"
    "  WHERE p.conrelid = c.oid AND p.contype = 'p'),"
    " quote_ident(current_user),"
    " EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)"
    " FROM (SELECT to_regclass($1)::oid AS oid) AS found"
    " LEFT JOIN pg_class AS c ON c.oid = found.oid"};

// A default that is written as a cast ('1'::bigint) is shown as its value.
constexpr postgres::Statement kInspectColumns = {
    "inspect_columns",
    "SELECT a.attname, quote_ident(a.attname),"
    " format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull,"
    " regexp_replace(coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault),"
    "  '^[''(]([^'']*)['')]::[a-z ]+$', '\\1'),"
    " a.attidentity, a.attgenerated"
    " FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
    " LEFT JOIN pg_attrdef AS d"
    "  ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum"};

// Whatever has an index's name in the table's schema. PostgreSQL 13 and 14 have
// no indnullsnotdistinct, hence the detour through jsonb.
constexpr postgres::Statement kInspectIndexes = {
    "inspect_indexes",
    "SELECT c.relname, coalesce(i.indrelid = u.oid, false),"
    " i.indisvalid AND i.indisready, i.indisunique, i.indimmediate,"
    " i.indpred IS NOT NULL,"
    " coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true',"
    " array_to_string(ARRAY("
    "  SELECT pg_get_indexdef(i.indexrelid, k, true)"
    "  FROM generate_series(1, i.indnatts) AS k), ', '),"
    " EXISTS (SELECT FROM pg_constraint AS p"
    "  WHERE p.conindid = c.oid AND p.conrelid = u.oid)"
    " FROM pg_class AS u JOIN pg_class AS c ON c.relnamespace = u.relnamespace"
    " LEFT JOIN pg_index AS i ON i.indexrelid = c.oid"
    " WHERE u.oid = $1::oid AND c.relname = ANY ($2::text[])"};

constexpr char kOrdinaryTable[] = "an ordinary table";
constexpr char kByPerson[] = "a person must decide: ";

// One inspection: holds what was found so far.
class Inspection {
 public:
  explicit Inspection(postgres::Session& session) : session_(session) {}

  absl::StatusOr<Report> Run() {
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows table,
        session_.Execute(kInspectTable, {contract_.table}));
    if (CheckTable(table)) {
      const std::string oid(table.Text(0, 0));
      USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows columns,
                                   session_.Execute(kInspectColumns, {oid}));
      CheckColumns(columns);
      CheckPrimaryKey(table);
      postgres::ArrayLiteral names;
      for (const Index& index : contract_.indexes) names.AppendText(index.name);
      USERPROFILE_ASSIGN_OR_RETURN(
          const postgres::Rows indexes,
          session_.Execute(kInspectIndexes, {oid, names.Finish()}));
      CheckIndexes(indexes);
      CheckAccess(table);
    }
    std::stable_sort(report_.breaches.begin(), report_.breaches.end(),
                     [](const Breach& a, const Breach& b) {
                       return a.severity > b.severity;
                     });
    return std::move(report_);
  }

 private:
  void Hold(std::string object, std::string expected) {
    report_.holdings.push_back({std::move(object), std::move(expected)});
  }

  void Break(Severity severity, absl::string_view object,
             absl::string_view expected, absl::string_view found,
             std::string remedy) {
    report_.breaches.push_back({severity, std::string(object),
                                std::string(expected), std::string(found),
                                std::move(remedy)});
  }

  void Block(absl::string_view object, absl::string_view expected,
             absl::string_view found, std::string remedy) {
    Break(Severity::kBlocking, object, expected, found, std::move(remedy));
  }

  // Whether there is a table to look into.
  bool CheckTable(const postgres::Rows& row) {
    if (row.IsNull(0, 0)) {
      Block(contract_.table, kOrdinaryTable, kMissing,
            "run 'userprofile-server migrate up', or put the schema that holds "
            "the table into the search path");
      return false;
    }
    if (row.Text(0, 1) != "r") {
      Block(contract_.table, kOrdinaryTable,
            absl::StrCat("relkind \"", row.Text(0, 1), "\""),
            absl::StrCat(kByPerson,
                         "rename it, or leave its schema out of the search "
                         "path, then migrate"));
      return false;
    }
    // A user in one of them could be read, but would be created again.
    if (row.Bool(0, 9)) {
      Block(contract_.table, "no table that inherits from it", "inherited from",
            absl::StrCat(kByPerson,
                         "move the rows of the tables that inherit into users, "
                         "and ALTER TABLE ... NO INHERIT users"));
      return true;
    }
    if (row.Text(0, 2) != "p") {
      Block(contract_.table, "a table that survives a crash", "unlogged",
            "ALTER TABLE users SET LOGGED");
      return true;
    }
    Hold(contract_.table, kOrdinaryTable);
    return true;
  }

  void CheckColumns(const postgres::Rows& rows) {
    std::map<std::string, std::size_t> row_of;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      row_of[std::string(rows.Text(i, 0))] = i;
    }
    for (const Column& column : contract_.columns) {
      const auto row = row_of.find(column.name);
      if (row == row_of.end()) {
        Block(absl::StrCat("users.", column.name), column.type, kMissing,
              AddColumn(column));
      } else {
        CheckColumn(column, rows, row->second);
        row_of.erase(row);
      }
    }
    for (const auto& [name, i] : row_of) CheckForeignColumn(rows, i);
  }

  void CheckColumn(const Column& column, const postgres::Rows& rows,
                   std::size_t i) {
    const std::string object = absl::StrCat("users.", column.name);
    const std::size_t breaches_before = report_.breaches.size();

    if (const absl::string_view type = rows.Text(i, 2); type != column.type) {
      const auto is_any_text = [](absl::string_view name) {
        return name == "text" || name == "character varying";
      };
      Break(is_any_text(type) && is_any_text(column.type)
                ? Severity::kAdvisory  // they differ in name only
                : Severity::kBlocking,
            object, column.type, type, ChangeType(column, type));
    }

    const bool nullable = !rows.Bool(i, 3);
    if (nullable != column.nullable) {
      Block(object, column.nullable ? "nullable" : "not null",
            nullable ? "nullable" : "not null", ChangeNullability(column));
    }

    if (!rows.Text(i, 6).empty()) {
      Block(object, "a column that can be written", "generated",
            absl::StrCat("ALTER TABLE users ALTER COLUMN ", column.name,
                         " DROP EXPRESSION"));
    } else if (!rows.Text(i, 5).empty()) {
      Break(rows.Text(i, 5) == "a" ? Severity::kBlocking : Severity::kAdvisory,
            object, "no identity", "identity",
            absl::StrCat("ALTER TABLE users ALTER COLUMN ", column.name,
                         " DROP IDENTITY"));
    } else {
      CheckDefault(column, object,
                   rows.IsNull(i, 4)
                       ? absl::optional<std::string>()
                       : absl::optional<std::string>(rows.Text(i, 4)));
    }

    if (report_.breaches.size() == breaches_before) {
      Hold(object,
           absl::StrCat(column.type, column.nullable ? "" : ", not null"));
    }
  }

  void CheckDefault(const Column& column, const std::string& object,
                    const absl::optional<std::string>& found) {
    const bool right = column.default_value == nullptr ? !found.has_value()
                       : column.default_value == kAnyDefault
                           ? found.has_value()
                           : found == std::string(column.default_value);
    if (right) return;
    Break(column.default_severity, object,
          column.default_value == nullptr ? "no default"
          : column.default_value == kAnyDefault
              ? kAnyDefault
              : absl::StrCat("default ", column.default_value),
          found.has_value() ? absl::StrCat("default ", *found) : "no default",
          ChangeDefault(column));
  }

  void CheckForeignColumn(const postgres::Rows& rows, std::size_t i) {
    const bool needs_value = rows.Bool(i, 3) && rows.IsNull(i, 4) &&
                             rows.Text(i, 5).empty() && rows.Text(i, 6).empty();
    if (!needs_value) return;
    Block(absl::StrCat("users.", rows.Text(i, 1)),
          "nullable, or a default, so that new users can be stored",
          "not null without a default",
          absl::StrCat("ALTER TABLE users ALTER COLUMN ", rows.Text(i, 1),
                       " DROP NOT NULL"));
  }

  void CheckPrimaryKey(const postgres::Rows& row) {
    const std::string object = absl::StrCat(contract_.table, " primary key");
    const std::string expected =
        absl::StrCat("PRIMARY KEY (", contract_.primary_key, ")");
    if (row.Text(0, 7) == expected) {
      Hold(object, expected);
    } else if (row.IsNull(0, 7)) {
      Block(object, expected, kMissing,
            absl::StrCat("ALTER TABLE users ADD ", expected));
    } else {
      Block(object, expected, row.Text(0, 7),
            absl::StrCat(kByPerson,
                         "drop that constraint (a UNIQUE one can replace it), "
                         "then ALTER TABLE users ADD ",
                         expected));
    }
  }

  void CheckIndexes(const postgres::Rows& rows) {
    for (const Index& index : contract_.indexes) {
      std::size_t i = 0;
      while (i < rows.size() && rows.Text(i, 0) != index.name) ++i;
      CheckIndex(index, rows, i);
    }
  }

  // `i` is rows.size() if there is no such index.
  void CheckIndex(const Index& index, const postgres::Rows& rows,
                  std::size_t i) {
    const std::string expected = absl::StrCat(
        index.unique ? "unique index" : "index", " on (", index.column, ")");
    const Severity severity =
        index.unique ? Severity::kBlocking : Severity::kAdvisory;
    if (i == rows.size()) {
      return Break(severity, index.name, expected, kMissing,
                   CreateIndex(index));
    }
    if (!rows.Bool(i, 1)) {
      return Break(severity, index.name, expected, "something else's name",
                   absl::StrCat(kByPerson, "rename what has the name ",
                                index.name, ", then ", CreateIndex(index)));
    }

    std::vector<std::string> faults;
    const bool unique = rows.Bool(i, 3);
    if (!rows.Bool(i, 2)) faults.push_back("invalid");
    if (unique != index.unique) {
      faults.push_back(unique ? "unique" : "not unique");
    }
    if (!rows.Bool(i, 4)) faults.push_back("deferrable");
    if (rows.Bool(i, 5)) faults.push_back("partial");
    if (rows.Bool(i, 6)) faults.push_back("nulls not distinct");
    if (rows.Text(i, 7) != index.column) {
      faults.push_back(absl::StrCat("on (", rows.Text(i, 7), ")"));
    }
    if (faults.empty()) return Hold(index.name, expected);

    // A unique index where none should be refuses users' answers.
    Break(unique ? Severity::kBlocking : severity, index.name, expected,
          absl::StrJoin(faults, ", "),
          rows.Bool(i, 8)
              ? absl::StrCat(kByPerson, "rename the constraint ", index.name,
                             ", then ", CreateIndex(index))
              : absl::StrCat("DROP INDEX ", index.name, "; ",
                             CreateIndex(index)));
  }

  void CheckAccess(const postgres::Rows& row) {
    const std::string rights = absl::StrCat("rights on ", contract_.table);
    const char* const kNames[] = {"SELECT", "INSERT", "UPDATE"};
    std::vector<std::string> missing;
    for (int i = 0; i < 3; ++i) {
      if (!row.Bool(0, 4 + i)) missing.push_back(kNames[i]);
    }
    if (missing.empty()) {
      Hold(rights, absl::StrJoin(kNames, ", "));
    } else {
      Block(rights, absl::StrJoin(kNames, ", "),
            absl::StrCat("no ", absl::StrJoin(missing, ", ")),
            absl::StrCat("GRANT SELECT, INSERT, UPDATE ON users TO ",
                         row.Text(0, 8)));
    }

    // A policy can hide a user, who would then look new.
    if (row.Bool(0, 3)) {
      Block(contract_.table, "every row visible", "row-level security",
            absl::StrCat(kByPerson,
                         "ALTER TABLE users DISABLE ROW LEVEL "
                         "SECURITY, or ALTER ROLE ",
                         row.Text(0, 8), " BYPASSRLS"));
    }
  }

  postgres::Session& session_;
  const Contract& contract_ = UsersContract();
  Report report_;
};

}  // namespace

absl::StatusOr<Report> Inspect(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations) {
  USERPROFILE_ASSIGN_OR_RETURN(Report report, Inspection(session).Run());
  const absl::StatusOr<std::vector<MigrationStatus>> history =
      ReadMigrationStatus(session, migrations);
  if (history.ok()) {
    for (const MigrationStatus& migration : *history) {
      if (IsToDo(migration.state)) {
        report.migrations_pending = true;
      } else if (migration.state == MigrationState::kUnknown) {
        report.unknown_migrations.push_back(
            Label(migration.version, migration.name));
      }
    }
  } else if (!absl::IsFailedPrecondition(history.status())) {
    return history.status();  // a role that may not read it is no error
  }
  return report;
}

}  // namespace userprofile::schema
