#include "server/schema/inspector.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/schema/adoption.h"
#include "server/schema/history.h"
#include "server/schema/meddlers.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

// The table, as the role $2 (or the current one) meets it. Row security does
// not apply to who may bypass it and to owners, unless it is forced on them.
// What has the name in a schema that the role may not use is not found.
constexpr postgres::Statement kInspectTable = {
    "inspect_table",
    "SELECT c.oid, c.relkind, c.relpersistence,"
    " c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls"
    "  OR pg_has_role(r.oid, c.relowner, 'USAGE')"
    "  AND NOT c.relforcerowsecurity),"
    " has_table_privilege(r.oid, c.oid, 'SELECT'),"
    " has_table_privilege(r.oid, c.oid, 'INSERT'),"
    " has_table_privilege(r.oid, c.oid, 'UPDATE'),"
    " (SELECT pg_get_constraintdef(p.oid) FROM pg_constraint AS p"
    "  WHERE p.conrelid = c.oid AND p.contype = 'p'),"
    " quote_ident(r.rolname::text),"
    " EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),"
    " quote_ident(n.nspname::text), has_schema_privilege(r.oid, n.oid, "
    "'USAGE'),"
    " EXISTS (SELECT FROM pg_class AS h WHERE h.relnamespace = n.oid"
    "  AND h.relname = 'userprofile_migrations'),"
    " (SELECT pg_catalog.format('%I.%I', n.nspname, h.relname) FROM pg_class "
    "AS h"
    "  WHERE h.relnamespace = n.oid AND h.relname = 'userprofile_migrations'"
    "  AND NOT has_table_privilege(r.oid, h.oid, 'SELECT'))"
    " FROM pg_roles AS r"
    " LEFT JOIN pg_class AS c ON c.oid = to_regclass($1)"
    " LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE r.rolname = coalesce($2::name, current_user)"};
// Its columns, in their order.
struct InTable {
  enum : int {
    kOid,
    kKind,
    kPersistence,
    kRowSecurity,
    kMaySelect,
    kMayInsert,
    kMayUpdate,
    kPrimaryKey,
    kRole,
    kIsInherited,
    kSchema,
    kMayUseSchema,
    kHasHistory,
    kHiddenHistory
  };
};

// A default that is written as a cast ('1'::bigint) is shown as its value.
constexpr postgres::Statement kInspectColumns = {
    "inspect_columns",
    "SELECT a.attname, quote_ident(a.attname::text),"
    " format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull,"
    " pg_catalog.regexp_replace(coalesce(pg_get_expr(d.adbin, d.adrelid), "
    "t.typdefault),"
    "  '^[''(]([^'']*)['')]::[a-z ]+$', '\\1'),"
    " a.attidentity, a.attgenerated, EXISTS (SELECT FROM pg_index"
    "  WHERE indrelid = a.attrelid AND indisprimary AND attnum = ANY (indkey)),"
    " a.atttypid = 'uuid'::regtype"
    " FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
    " LEFT JOIN pg_attrdef AS d"
    "  ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum"};
// Its columns, in their order.
struct InColumns {
  enum : int {
    kName,
    kQuotedName,
    kType,
    kNotNull,
    kDefault,
    kIdentity,
    kGenerated,
    kIsOfKey,
    kIsUuid
  };
};

// Whatever has an index's name in the table's schema. PostgreSQL 13 and 14 have
// no indnullsnotdistinct, hence the detour through jsonb.
constexpr postgres::Statement kInspectIndexes = {
    "inspect_indexes",
    "SELECT c.relname, coalesce(i.indrelid = u.oid, false),"
    " i.indisvalid AND i.indisready, i.indisunique, i.indimmediate,"
    " i.indpred IS NOT NULL,"
    " coalesce(pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = "
    "'true',"
    " pg_catalog.array_to_string(ARRAY("
    "  SELECT pg_get_indexdef(i.indexrelid, k, true)"
    "  FROM generate_series(1, i.indnatts) AS k), ', '),"
    " EXISTS (SELECT FROM pg_constraint AS p"
    "  WHERE p.conindid = c.oid AND p.conrelid = u.oid),"
    // Of its own, not the column's.
    " EXISTS (SELECT FROM pg_collation AS l WHERE NOT collisdeterministic"
    "  AND l.oid = ANY (i.indcollation::oid[]) AND NOT EXISTS ("
    "   SELECT FROM pg_attribute WHERE attrelid = i.indrelid"
    "   AND attnum = ANY (i.indkey) AND attcollation = l.oid))"
    " FROM pg_class AS u JOIN pg_class AS c ON c.relnamespace = u.relnamespace"
    " LEFT JOIN pg_index AS i ON i.indexrelid = c.oid"
    " WHERE u.oid = $1::oid AND c.relname = ANY ($2::text[])"};
// Its columns, in their order.
struct InIndexes {
  enum : int {
    kName,
    kIsOfTable,
    kIsValid,
    kIsUnique,
    kIsImmediate,
    kIsPartial,
    kNullsNotDistinct,
    kKeys,
    kIsOfConstraint,
    kIsVague
  };
};

constexpr char kOrdinaryTable[] = "an ordinary table";

// One inspection: holds what was found so far.
class Inspection {
 public:
  Inspection(postgres::Session& session, absl::optional<std::string> role)
      : session_(session), role_(std::move(role)) {}

  absl::StatusOr<Report> Run() {
    postgres::ArrayLiteral index_names;
    for (const Index& index : contract_.indexes) {
      index_names.AppendText(index.name);
    }
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows table,
        session_.Execute(kInspectTable, {contract_.table, role_}));
    if (table.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no role ", role_.value_or("")));
    }
    if (table.IsNull(0, InTable::kOid)) {
      USERPROFILE_RETURN_IF_ERROR(ExplainMissingTable());
    } else {
      USERPROFILE_RETURN_IF_ERROR(CheckTable(table));
    }
    absl::optional<std::string> oid;
    if (!table.IsNull(0, InTable::kOid) &&
        table.Text(0, InTable::kKind) == "r") {
      oid = std::string(table.Text(0, InTable::kOid));
      USERPROFILE_RETURN_IF_ERROR(CheckSchema(table));
      USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows found,
                                   session_.Execute(kInspectColumns, {oid}));
      USERPROFILE_RETURN_IF_ERROR(CheckKeyColumn(*oid, found));
      CheckColumns(found);
      USERPROFILE_RETURN_IF_ERROR(CheckPrimaryKey(*oid, table));
      USERPROFILE_ASSIGN_OR_RETURN(
          const postgres::Rows indexes,
          session_.Execute(kInspectIndexes, {oid, index_names.Finish()}));
      CheckIndexes(indexes);
      CheckAccess(table);
    }
    USERPROFILE_ASSIGN_OR_RETURN(std::vector<Breach> meddlers,
                                 FindMeddlers(session_, oid, role_));
    std::move(meddlers.begin(), meddlers.end(),
              std::back_inserter(report_.breaches));
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

  void Break(Breach breach) { report_.breaches.push_back(std::move(breach)); }

  // A blocking breach that a person must do something about.
  void Refer(absl::string_view object, absl::string_view expected,
             absl::string_view found, absl::string_view remedy,
             const Column* column = nullptr) {
    Break({Severity::kBlocking, Fault::kForPerson, std::string(object),
           std::string(expected), std::string(found),
           absl::StrCat(kByPerson, remedy), column});
  }

  // Never by creating an empty table where there was one: all its users would
  // look new.
  absl::Status ExplainMissingTable() {
    USERPROFILE_ASSIGN_OR_RETURN(const absl::optional<Elsewhere> found,
                                 FindElsewhere(session_));
    if (found.has_value()) {
      Refer(contract_.table, kOrdinaryTable, kMissing,
            absl::StrCat("there is ", found->place,
                         ": if its users are those of the bot, ", found->sql,
                         "; or, if users shall begin empty, run "
                         "'userprofile-server migrate up --new-table'"));
    } else {
      // Whether there ever was one, Inspect knows.
      Break({Severity::kBlocking, Fault::kForPerson, contract_.table,
             kOrdinaryTable, kMissing, kRunMigrations});
    }
    return absl::OkStatus();
  }

  absl::Status CheckTable(const postgres::Rows& row) {
    const std::string oid(row.Text(0, InTable::kOid));
    report_.schema = std::string(row.Text(0, InTable::kSchema));
    if (row.Text(0, InTable::kKind) != "r") {
      USERPROFILE_ASSIGN_OR_RETURN(const std::string sql,
                                   MakeTable(session_, oid));
      Refer(contract_.table, kOrdinaryTable,
            absl::StrCat("relkind \"", row.Text(0, InTable::kKind), "\""),
            absl::StrCat("make a table with its rows, in one transaction, and "
                         "give it the rights and triggers that it had: ",
                         sql));
    } else if (row.Bool(0, InTable::kIsInherited)) {
      // A user in one of them could be read, but would be created again.
      USERPROFILE_ASSIGN_OR_RETURN(const std::string sql,
                                   TakeInHeirs(session_, oid));
      Refer(contract_.table, "no table that inherits from it", "inherited from",
            absl::StrCat("take in the rows of the tables that inherit, which "
                         "keep theirs: ",
                         sql));
    } else if (row.Text(0, InTable::kPersistence) != "p") {
      Break({Severity::kBlocking, Fault::kUnlogged, contract_.table,
             "a table that survives a crash", "unlogged",
             "ALTER TABLE users SET LOGGED"});
    } else {
      Hold(contract_.table, kOrdinaryTable);
    }
    return absl::OkStatus();
  }

  // A search path that leads to another table than the one that was migrated:
  // whoever is known there looks new here.
  absl::Status CheckSchema(const postgres::Rows& row) {
    if (row.Bool(0, InTable::kHasHistory)) return absl::OkStatus();
    USERPROFILE_ASSIGN_OR_RETURN(const absl::optional<Elsewhere> other,
                                 FindElsewhere(session_));
    if (!other.has_value() || !other->has_its_name || !other->has_history) {
      return absl::OkStatus();
    }
    Refer(kSchemaOfUsers,
          absl::StrCat(other->schema, ", where a history of migrations is"),
          row.Text(0, InTable::kSchema),
          absl::StrCat(other->sql,
                       "; or, if this is the table, run 'userprofile-server "
                       "migrate up --new-table'"));
    return absl::OkStatus();
  }

  // An internal number in user_id is taken for a Telegram id: every user would
  // look new, and some be taken for others.
  absl::Status CheckKeyColumn(const std::string& oid,
                              const postgres::Rows& rows) {
    const std::string object = absl::StrCat("users.", contract_.primary_key);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows.Text(i, InColumns::kName) != contract_.primary_key) continue;
      USERPROFILE_ASSIGN_OR_RETURN(const absl::optional<KeyBeside> key,
                                   FindKeyBeside(session_, oid));
      if (key.has_value()) {
        key_column_ = key->column;
        Refer(object, "the Telegram user id",
              absl::StrCat("another number than in users.", key->column),
              absl::StrCat("if users.", key->column,
                           " holds the Telegram ids, ", key->sql,
                           "; or, if user_id does, COMMENT ON COLUMN "
                           "users.user_id IS 'Telegram user id'"),
              // A repair leaves it alone until then.
              contract_.columns.data());
      }
      return absl::OkStatus();
    }
    USERPROFILE_ASSIGN_OR_RETURN(const absl::optional<KeyBeside> key,
                                 FindKey(session_, oid));
    if (key.has_value()) key_column_ = key->column;
    has_user_id_ = false;
    Refer(object, "bigint", kMissing,
          absl::StrCat("rename the column that holds the Telegram user id",
                       key.has_value() ? ": " : ", or add it",
                       key.has_value() ? key->sql : ""));
    return absl::OkStatus();
  }

  void CheckColumns(const postgres::Rows& rows) {
    std::map<std::string, std::size_t> row_of;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      row_of[std::string(rows.Text(i, InColumns::kName))] = i;
    }
    for (const Column& column : contract_.columns) {
      const auto row = row_of.find(column.name);
      if (row == row_of.end()) {
        // Of the key CheckKeyColumn tells.
        if (absl::string_view(column.name) == contract_.primary_key) continue;
        Break({Severity::kBlocking, Fault::kColumnMissing,
               absl::StrCat("users.", column.name), column.type, kMissing,
               AddColumn(column), &column});
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

    if (const absl::string_view type = rows.Text(i, InColumns::kType);
        type != column.type) {
      const auto is_any_text = [](absl::string_view name) {
        return name == "text" || name == "character varying";
      };
      Break(
          {is_any_text(type) && is_any_text(column.type)
               ? Severity::kAdvisory  // they differ in name only
               : Severity::kBlocking,
           CanChangeType(column, type) ? Fault::kColumnType : Fault::kForPerson,
           object, column.type, std::string(type), ChangeType(column, type),
           &column});
    }

    const bool nullable = !rows.Bool(i, InColumns::kNotNull);
    if (nullable != column.nullable) {
      Break({Severity::kBlocking, Fault::kColumnNullability, object,
             column.nullable ? "nullable" : "not null",
             nullable ? "nullable" : "not null", ChangeNullability(column),
             &column});
    }

    if (!rows.Text(i, InColumns::kGenerated).empty()) {
      Break({Severity::kBlocking, Fault::kColumnGenerated, object,
             "a column that can be written", "generated",
             absl::StrCat("ALTER TABLE users ALTER COLUMN ", column.name,
                          " DROP EXPRESSION"),
             &column});
      CheckDefault(column, object, absl::nullopt);
    } else if (!rows.Text(i, InColumns::kIdentity).empty()) {
      Break({rows.Text(i, InColumns::kIdentity) == "a" ? Severity::kBlocking
                                                       : Severity::kAdvisory,
             Fault::kColumnIdentity, object, "no identity", "identity",
             absl::StrCat("ALTER TABLE users ALTER COLUMN ", column.name,
                          " DROP IDENTITY"),
             &column});
      CheckDefault(column, object, absl::nullopt);
    } else {
      CheckDefault(
          column, object,
          rows.IsNull(i, InColumns::kDefault)
              ? absl::optional<std::string>()
              : absl::optional<std::string>(rows.Text(i, InColumns::kDefault)));
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
    Break({column.default_severity, Fault::kColumnDefault, object,
           column.default_value == nullptr ? "no default"
           : column.default_value == kAnyDefault
               ? kAnyDefault
               : absl::StrCat("default ", column.default_value),
           found.has_value() ? absl::StrCat("default ", *found) : "no default",
           ChangeDefault(column), &column});
  }

  // A new user is inserted without the columns that only others know. Not
  // mended here, for it is theirs. NULL may be there twice even if it is to be
  // unique. What is the key, or will be, has to be put right first.
  void CheckForeignColumn(const postgres::Rows& rows, std::size_t i) {
    const bool needs_value =
        rows.Bool(i, InColumns::kNotNull) &&
        rows.IsNull(i, InColumns::kDefault) &&
        rows.Text(i, InColumns::kIdentity).empty() &&
        rows.Text(i, InColumns::kGenerated).empty() &&
        !rows.Bool(i, InColumns::kIsOfKey) &&
        rows.Text(i, InColumns::kQuotedName) != key_column_;
    if (!needs_value) return;
    Break({Severity::kBlocking, Fault::kForPerson,
           absl::StrCat("users.", rows.Text(i, InColumns::kQuotedName)),
           "nullable, or a default, so that new users can be stored",
           "not null without a default",
           absl::StrCat("ALTER TABLE users ALTER COLUMN ",
                        rows.Text(i, InColumns::kQuotedName),
                        rows.Bool(i, InColumns::kIsUuid)
                            ? " SET DEFAULT gen_random_uuid()"
                            : " DROP NOT NULL")});
  }

  absl::Status CheckPrimaryKey(const std::string& oid,
                               const postgres::Rows& row) {
    const std::string object = absl::StrCat(contract_.table, " primary key");
    const std::string expected =
        absl::StrCat("PRIMARY KEY (", contract_.primary_key, ")");
    if (row.Text(0, InTable::kPrimaryKey) == expected) {
      Hold(object, expected);
    } else if (row.IsNull(0, InTable::kPrimaryKey)) {
      Break({Severity::kBlocking, Fault::kPrimaryKeyMissing, object, expected,
             kMissing, absl::StrCat("ALTER TABLE users ADD ", expected)});
    } else if (has_user_id_) {
      USERPROFILE_ASSIGN_OR_RETURN(const std::string sql,
                                   RebuildKey(session_, oid));
      Refer(object, expected, row.Text(0, InTable::kPrimaryKey),
            absl::StrCat("make it a unique constraint, in one transaction: ",
                         sql));
    }
    return absl::OkStatus();
  }

  void CheckIndexes(const postgres::Rows& rows) {
    for (const Index& index : contract_.indexes) {
      std::size_t i = 0;
      while (i < rows.size() && rows.Text(i, InIndexes::kName) != index.name)
        ++i;
      CheckIndex(index, rows, i);
    }
  }

  // `i` is rows.size() if there is no such index.
  void CheckIndex(const Index& index, const postgres::Rows& rows,
                  std::size_t i) {
    Breach breach = {index.unique ? Severity::kBlocking : Severity::kAdvisory,
                     Fault::kIndexMissing,
                     index.name,
                     absl::StrCat(index.unique ? "unique index" : "index",
                                  " on (", index.column, ")"),
                     kMissing,
                     CreateIndex(index),
                     nullptr,
                     &index};
    if (i == rows.size()) return Break(std::move(breach));
    if (!rows.Bool(i, InIndexes::kIsOfTable)) {
      breach.fault = Fault::kForPerson;
      breach.found = "something else's name";
      breach.remedy =
          absl::StrCat(kByPerson, "set aside what has the name: ALTER TABLE ",
                       report_.schema, ".", index.name, " RENAME TO ",
                       index.name, "_set_aside; ", CreateIndex(index));
      return Break(std::move(breach));
    }

    std::vector<std::string> faults;
    const bool valid = rows.Bool(i, InIndexes::kIsValid);
    const bool unique = rows.Bool(i, InIndexes::kIsUnique);
    const bool ours = rows.Text(i, InIndexes::kKeys) == index.column;
    if (!valid) faults.push_back("invalid");
    if (unique != index.unique) {
      faults.push_back(unique ? "unique" : "not unique");
    }
    if (!rows.Bool(i, InIndexes::kIsImmediate)) faults.push_back("deferrable");
    if (rows.Bool(i, InIndexes::kIsPartial)) faults.push_back("partial");
    if (rows.Bool(i, InIndexes::kNullsNotDistinct))
      faults.push_back("nulls not distinct");
    if (rows.Bool(i, InIndexes::kIsVague)) {
      faults.emplace_back("nondeterministic collation");
    }
    if (!ours)
      faults.push_back(
          absl::StrCat("on (", rows.Text(i, InIndexes::kKeys), ")"));
    if (faults.empty()) return Hold(index.name, breach.expected);

    // A unique index where none should be refuses users' answers.
    if (unique) breach.severity = Severity::kBlocking;
    breach.found = absl::StrJoin(faults, ", ");
    if (rows.Bool(i, InIndexes::kIsOfConstraint)) {
      breach.fault = Fault::kForPerson;
      breach.remedy = absl::StrCat(
          kByPerson,
          "set the constraint aside: ALTER TABLE users RENAME "
          "CONSTRAINT ",
          index.name, " TO ", index.name, "_set_aside; ", CreateIndex(index));
    } else if (ours || !valid) {
      breach.fault = Fault::kIndexInvalid;
      breach.remedy =
          absl::StrCat("DROP INDEX ", index.name, "; ", CreateIndex(index));
    } else {
      breach.fault = Fault::kIndexElse;
      breach.remedy =
          absl::StrCat("ALTER INDEX ", index.name, " RENAME TO ", index.name,
                       "_set_aside; ", CreateIndex(index));
    }
    Break(std::move(breach));
  }

  void CheckAccess(const postgres::Rows& row) {
    const std::string role(row.Text(0, InTable::kRole));
    const std::string rights = absl::StrCat("rights on ", contract_.table);
    constexpr char kNeeded[] = "SELECT, INSERT, UPDATE";
    constexpr std::pair<const char*, int> kColumns[] = {
        {"SELECT", InTable::kMaySelect},
        {"INSERT", InTable::kMayInsert},
        {"UPDATE", InTable::kMayUpdate}};
    std::vector<std::string> missing;
    for (const auto& [right, column] : kColumns) {
      if (!row.Bool(0, column)) missing.emplace_back(right);
    }
    if (missing.empty()) {
      Hold(rights, kNeeded);
    } else {
      Break({Severity::kBlocking, Fault::kRightsMissing, rights, kNeeded,
             absl::StrCat("no ", absl::StrJoin(missing, ", ")),
             absl::StrCat("GRANT ", kNeeded, " ON users TO ", role)});
    }
    if (!row.Bool(0, InTable::kMayUseSchema)) {
      Break({Severity::kBlocking, Fault::kRightsMissing,
             absl::StrCat("rights on schema ", row.Text(0, InTable::kSchema)),
             "USAGE", "no USAGE",
             absl::StrCat("GRANT USAGE ON SCHEMA ",
                          row.Text(0, InTable::kSchema), " TO ", role)});
    }
    // It could serve; but it could not say what is pending.
    if (!row.IsNull(0, InTable::kHiddenHistory)) {
      Break({Severity::kAdvisory, Fault::kRightsMissing,
             "rights on userprofile_migrations", "SELECT", "no SELECT",
             absl::StrCat("GRANT SELECT ON ",
                          row.Text(0, InTable::kHiddenHistory), " TO ", role)});
    }

    // A policy can hide a user, who would then look new.
    if (row.Bool(0, InTable::kRowSecurity)) {
      Refer(contract_.table, "every row visible", "row-level security",
            absl::StrCat("ALTER TABLE users DISABLE ROW LEVEL SECURITY; or, if "
                         "others shall still not see all, ALTER ROLE ",
                         role, " BYPASSRLS"));
    }
  }

  postgres::Session& session_;
  const absl::optional<std::string> role_;
  const Contract& contract_ = UsersContract();
  bool has_user_id_ = true;
  std::string key_column_;  // where Telegram ids are, if not in user_id
  Report report_;
};

// Of a table that is nowhere, although migrations made it.
void ExplainLoss(Report& report) {
  report.breaches.front().remedy = absl::StrCat(
      kByPerson,
      "it was here, for the migrations were applied: restore a backup "
      "('userprofile-server backup restore FILE'); or, if users shall begin "
      "empty, run 'userprofile-server migrate up' after DROP TABLE "
      "userprofile_migrations");
}

}  // namespace

absl::StatusOr<Report> Inspect(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations,
    const std::string& role) {
  USERPROFILE_ASSIGN_OR_RETURN(
      Report report,
      Inspection(session, role.empty() ? absl::optional<std::string>() : role)
          .Run());
  const absl::StatusOr<std::vector<MigrationStatus>> history =
      ReadMigrationStatus(session, migrations);
  if (history.ok()) {
    bool applied = false;
    for (const MigrationStatus& migration : *history) {
      if (IsToDo(migration.state)) {
        report.migrations_pending = true;
        continue;
      }
      applied = true;
      if (migration.state == MigrationState::kUnknown) {
        report.unknown_migrations.push_back(
            Label(migration.version, migration.name));
      }
    }
    // Applied migrations are not run again, and so can't bring it back.
    const bool lost =
        report.schema.empty() &&
        !absl::StartsWith(report.breaches.front().remedy, kByPerson);
    if (lost && applied) ExplainLoss(report);
  } else if (!absl::IsFailedPrecondition(history.status())) {
    return history.status();  // a role that may not read it is no error
  }
  return report;
}

}  // namespace userprofile::schema
