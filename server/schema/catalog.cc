#include "server/schema/catalog.h"

#include <algorithm>
#include <functional>
#include <type_traits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/postgres/errors.h"
#include "server/postgres/table_names.h"
#include "server/schema/adoption.h"
#include "server/schema/catalog_sql.h"
#include "server/schema/contract.h"
#include "server/schema/history.h"
#include "server/users/token_key.h"

namespace userprofile::schema {
namespace {

std::string WithLikeness(const char* sql) {
  return absl::Substitute(sql, kLikeness, kCanHoldId);
}

template <typename Field>
void Take(const postgres::Rows& rows, std::size_t i, int column, Field* field) {
  const absl::string_view text = rows.Text(i, column);
  if constexpr (std::is_same_v<Field, bool>) {
    *field = rows.Bool(i, column);
  } else if constexpr (std::is_same_v<Field, int>) {
    *field = static_cast<int>(rows.Int64(i, column));
  } else if constexpr (std::is_same_v<Field, std::vector<int>>) {
    for (const absl::string_view number :
         absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      int value = 0;
      if (absl::SimpleAtoi(number, &value)) field->push_back(value);
    }
  } else if (!rows.IsNull(i, column)) {
    *field = std::string(text);
  }
}

// A row's values, in their order.
template <typename... Fields>
void TakeRow(const postgres::Rows& rows, std::size_t i, Fields*... fields) {
  int column = 0;
  (Take(rows, i, column++, fields), ...);
}

void Fill(const postgres::Rows& rows, std::size_t i, CatalogColumn& c) {
  TakeRow(rows, i, &c.number, &c.name, &c.quoted, &c.type, &c.not_null,
          &c.default_value, &c.identity, &c.is_generated, &c.is_vague,
          &c.likeness, &c.can_hold_id, &c.is_counted, &c.comment);
}

void Fill(const postgres::Rows& rows, std::size_t i, CatalogIndex& x) {
  TakeRow(rows, i, &x.name, &x.quoted, &x.is_of_users, &x.is_valid,
          &x.is_unique, &x.is_primary, &x.is_immediate, &x.is_partial,
          &x.nulls_not_distinct, &x.is_vague, &x.is_identity, &x.keys,
          &x.columns, &x.constraint);
}

void Fill(const postgres::Rows& rows, std::size_t i, CatalogConstraint& c) {
  TakeRow(rows, i, &c.quoted, &c.type, &c.table, &c.is_of_users,
          &c.is_validated, &c.is_deferrable, &c.definition, &c.condition,
          &c.columns, &c.index);
}

template <typename T>
absl::Status ReadAll(postgres::Session& session,
                     const postgres::Statement& statement,
                     const postgres::Parameters& parameters,
                     std::vector<T>& list) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               session.Execute(statement, parameters));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Fill(rows, i, list.emplace_back());
  }
  return absl::OkStatus();
}

absl::Status ReadOthers(postgres::Session& session, const std::string& oid,
                        const absl::optional<std::string>& role,
                        Catalog& catalog) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               session.Execute(kReadOthers, {oid, role}));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string kind(rows.Text(i, 0));
    if (kind != "publication") {
      catalog.others[kind].emplace_back(rows.Text(i, 1));
      continue;
    }
    CatalogPublication& p = catalog.publications.emplace_back();
    TakeRow(rows, i, &kind, &p.quoted, &p.filter, &p.list);
  }
  return absl::OkStatus();
}

absl::Status ReadOwnTables(postgres::Session& session, const std::string& oid,
                           const absl::optional<std::string>& role,
                           Catalog& catalog) {
  for (std::size_t i = 0; i < kOwnTables.size(); ++i) {
    postgres::Parameters parameters = OwnTableParameters(kOwnTables[i]);
    parameters.insert(parameters.begin(), {oid, role});
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                                 session.Execute(kReadOwnTable, parameters));
    CatalogOwnTable& found = catalog.own_tables[i];
    TakeRow(rows, 0, &found.fault, &found.lacks_rights, &found.has_more,
            &found.hides_rows);
  }
  return absl::OkStatus();
}

absl::Status FindElsewhere(postgres::Session& session, Catalog& catalog) {
  static const auto& sql = *new std::string(WithLikeness(kFindElsewhere));
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.Execute({"find_users_elsewhere", sql.c_str()},
                      {UsersContract().table}));
  if (rows.empty()) return absl::OkStatus();
  Elsewhere& e = catalog.elsewhere.emplace();
  TakeRow(rows, 0, &e.place, &e.schema, &e.has_its_name, &e.has_history,
          &e.sql);
  return absl::OkStatus();
}

absl::Status CompareKeys(postgres::Session& session, Catalog& catalog) {
  for (const KeyBeside& key : FindKeysBeside(catalog)) {
    const std::string sql = absl::Substitute(kCompareKeys, key.column->quoted);
    const std::string name =
        absl::StrCat("compare_keys_", std::hash<std::string>()(sql));
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows differs,
        session.Execute(
            {name.c_str(), sql.c_str()},
            {key.is_named ? "t" : "f", key.is_of_several ? "t" : "f"}));
    if (!differs.Bool(0, 0)) continue;
    catalog.key_beside = key.column->quoted;
    break;
  }
  return absl::OkStatus();
}

absl::Status ReadHistory(postgres::Session& session,
                         absl::Span<const migrations::Migration> migrations,
                         Catalog& catalog) {
  const auto history = ReadMigrationStatus(session, migrations);
  if (!history.ok()) {
    // A role that may not read it is no error.
    if (!absl::IsFailedPrecondition(history.status())) return history.status();
    if (catalog.hidden_history.empty()) {
      catalog.history_refusal = std::string(history.status().message());
      catalog.migrations_pending = true;  // which says that it is refused
      catalog.migrations_applied = true;  // as far as it can be known
    }
    return absl::OkStatus();
  }
  for (const MigrationStatus& migration : *history) {
    (IsToDo(migration.state) ? catalog.migrations_pending
                             : catalog.migrations_applied) = true;
    if (migration.state == MigrationState::kUnknown) {
      catalog.unknown_migrations.push_back(
          Label(migration.version, migration.name));
    }
  }
  return absl::OkStatus();
}

// The role, and the table as a whole; `oid` is empty if there is none.
absl::Status ReadTable(postgres::Session& session,
                       const absl::optional<std::string>& whose,
                       Catalog& catalog, std::string& oid) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows table,
                               session.Execute(kReadTable, {whose}));
  if (table.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no role ", whose.value_or("")));
  }
  TakeRow(table, 0, &catalog.encoding, &catalog.copy_name, &catalog.role, &oid,
          &catalog.schema, &catalog.kind, &catalog.persistence,
          &catalog.replica_identity, &catalog.hides_rows, &catalog.lacks_rights,
          &catalog.may_use_schema, &catalog.has_history,
          &catalog.hidden_history, &catalog.may_read, &catalog.aside,
          &catalog.search_path, &catalog.doubtful_owner, &catalog.session_role,
          &catalog.is_superuser);
  return absl::OkStatus();
}

absl::Status Read(postgres::Session& session,
                  absl::Span<const migrations::Migration> migrations,
                  const std::string& role, Catalog& catalog) {
  absl::optional<std::string> whose;
  if (!role.empty()) whose = role;
  std::string oid;
  USERPROFILE_RETURN_IF_ERROR(ReadTable(session, whose, catalog, oid));
  if (!oid.empty()) {
    postgres::ArrayLiteral names;
    for (const Index& index : UsersContract().indexes) {
      names.AppendText(index.name);
    }
    static const auto& sql = *new std::string(WithLikeness(kReadColumns));
    USERPROFILE_RETURN_IF_ERROR(ReadAll(session, {"read_columns", sql.c_str()},
                                        {oid}, catalog.columns));
    USERPROFILE_RETURN_IF_ERROR(
        ReadAll(session, kReadIndexes, {oid, names.Finish()}, catalog.indexes));
    USERPROFILE_RETURN_IF_ERROR(
        ReadAll(session, kReadConstraints, {oid}, catalog.constraints));
    USERPROFILE_RETURN_IF_ERROR(ReadOthers(session, oid, whose, catalog));
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows key,
        session.Execute({"find_key_of_tokens", users::kFindTokenKey}, {whose}));
    if (!key.empty()) TakeRow(key, 0, &catalog.token_key);
    // What others may have made is not read; nor is it worth failing for, if
    // they hold it.
    if (!key.empty() && key.IsNull(0, 0) && key.Bool(0, 1)) {
      const absl::StatusOr<postgres::Rows> is_there =
          session.Execute({"has_key_of_tokens", users::kHasTokenKey}, {});
      if (is_there.ok() && !is_there->Bool(0, 0)) catalog.token_key = "no key";
    }
    USERPROFILE_RETURN_IF_ERROR(ReadOwnTables(session, oid, whose, catalog));
  }
  if (catalog.kind == "r") {
    USERPROFILE_RETURN_IF_ERROR(CompareKeys(session, catalog));
  }
  if (oid.empty() || (catalog.kind == "r" && !catalog.has_history)) {
    USERPROFILE_RETURN_IF_ERROR(FindElsewhere(session, catalog));
  }
  return ReadHistory(session, migrations, catalog);
}

// Even to look waits for whoever alters the table. Keeps the SQLSTATE, for
// those who try again.
absl::Status Explain(const absl::Status& failure, absl::string_view schema) {
  if (postgres::SqlState(failure) != "55P03") return failure;
  absl::Status status(
      failure.code(),
      postgres::NameTables(
          "others hold the table users, so that nobody can look at it; try "
          "again when their transaction is over, or see whose it is: SELECT "
          "pid, usename, state, query FROM pg_stat_activity WHERE pid IN "
          "(SELECT pid FROM pg_locks WHERE relation = :'users'::regclass AND "
          "granted AND mode = 'AccessExclusiveLock')",
          schema));
  failure.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    status.SetPayload(url, payload);
  });
  return status;
}

}  // namespace

bool CatalogIndex::Has(int column) const {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

bool HasDoubtfulOwner(const Catalog& catalog) {
  return !catalog.doubtful_owner.empty() &&
         (catalog.is_superuser || !catalog.has_history);
}

const std::vector<std::string>& Catalog::Others(const std::string& kind) const {
  static const auto* const kNone = new std::vector<std::string>();
  const auto found = others.find(kind);
  return found == others.end() ? *kNone : found->second;
}

const CatalogColumn* Catalog::FindColumn(absl::string_view name) const {
  const auto column =
      std::find_if(columns.begin(), columns.end(),
                   [&](const CatalogColumn& c) { return c.name == name; });
  return column == columns.end() ? nullptr : &*column;
}

absl::StatusOr<Catalog> ReadOwner(postgres::Session& session) {
  Catalog catalog;
  std::string oid;
  USERPROFILE_RETURN_IF_ERROR(session.FindTables().status());
  USERPROFILE_RETURN_IF_ERROR(ReadTable(session, {}, catalog, oid));
  return catalog;
}

absl::StatusOr<Catalog> ReadCatalog(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations,
    const std::string& role) {
  Catalog catalog;
  USERPROFILE_ASSIGN_OR_RETURN(const std::string schema, session.FindTables());
  const absl::Status status = Read(session, migrations, role, catalog);
  if (status.ok()) return catalog;
  return Explain(status, schema);
}

}  // namespace userprofile::schema
