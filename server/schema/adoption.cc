#include "server/schema/adoption.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/strings/substitute.h"
#include "server/schema/contract.h"

namespace userprofile::schema {
namespace {

// Whether a unique index has it for its key, perhaps of some rows only; or,
// with `of_several`, among several of its keys, of which none is user_id.
bool IsUnique(const Catalog& catalog, const CatalogColumn& column,
              bool of_some_rows, bool of_several = false) {
  const CatalogColumn* user_id =
      catalog.FindColumn(UsersContract().primary_key);
  return std::any_of(
      catalog.indexes.begin(), catalog.indexes.end(),
      [&](const CatalogIndex& index) {
        return index.is_of_users && index.is_unique &&
               (of_some_rows || !index.is_partial) &&
               index.Has(column.number) &&
               (of_several ? user_id == nullptr || !index.Has(user_id->number)
                           : index.columns.size() == 1);
      });
}

bool IsCounted(const CatalogColumn& column) {
  return column.is_counted ||
         absl::StrContains(column.default_value.value_or(""), "nextval");
}

// Of those that can be written.
std::string ColumnList(const Catalog& catalog) {
  std::vector<absl::string_view> names;
  for (const CatalogColumn& column : catalog.columns) {
    if (!column.is_generated) names.push_back(column.quoted);
  }
  return absl::StrJoin(names, ", ");
}

// `format` for each foreign key that refers to users: $0 is its table, $1 its
// name and $2 its definition.
std::string ForReferences(const Catalog& catalog, absl::string_view index,
                          absl::string_view format) {
  std::string sql;
  for (const CatalogConstraint& key : catalog.constraints) {
    if (key.type != "f" || key.index.empty()) continue;
    if (!index.empty() && key.index != index) continue;
    absl::SubstituteAndAppend(&sql, format, key.table, key.quoted,
                              key.definition);
  }
  return sql;
}

}  // namespace

const CatalogColumn* FindKey(const Catalog& catalog) {
  const CatalogColumn* key = nullptr;
  const auto rank = [&](const CatalogColumn& column) {
    return std::make_pair(column.likeness, IsUnique(catalog, column, false));
  };
  for (const CatalogColumn& column : catalog.columns) {
    // An id that PostgreSQL counts up is nobody's at Telegram.
    const bool may_be = column.can_hold_id &&
                        (column.likeness > 0 ||
                         (column.name == "id" && column.identity.empty() &&
                          !column.default_value.has_value()));
    if (may_be && (key == nullptr || rank(column) > rank(*key))) key = &column;
  }
  return key;
}

// A chat may be that of somebody else, unless each user has one. Beside a
// user_id that is counted up, whatever identifies people may be the Telegram
// id, by any name; but neither what is counted itself, nor telephone numbers
// and nicknames: these are unique numbers beside true ids too, and to rename
// one of them to user_id would never be right.
std::vector<KeyBeside> FindKeysBeside(const Catalog& catalog) {
  const CatalogColumn* ours = catalog.FindColumn(UsersContract().primary_key);
  if (ours == nullptr || !catalog.may_read ||
      absl::StrContains(absl::AsciiStrToLower(ours->comment), "telegram")) {
    return {};
  }
  std::vector<KeyBeside> keys;
  for (const CatalogColumn& column : catalog.columns) {
    if (&column == ours || !column.can_hold_id) continue;
    const bool is_named =
        column.likeness == 3 ||
        (column.likeness > 0 &&
         (column.not_null || IsUnique(catalog, column, false)));
    const bool may_be_any =
        IsCounted(*ours) && !IsCounted(column) && column.likeness >= 0;
    if (is_named || (may_be_any && IsUnique(catalog, column, true))) {
      keys.push_back({&column, column.likeness > 0});
    } else if (may_be_any && IsUnique(catalog, column, true, true)) {
      keys.push_back({&column, column.likeness > 0, true});
    }
  }
  std::stable_sort(keys.begin(), keys.end(),
                   [](const KeyBeside& a, const KeyBeside& b) {
                     return a.column->likeness > b.column->likeness;
                   });
  return keys;
}

std::string TakeAsKey(const Catalog& catalog, absl::string_view column) {
  const absl::string_view aside = catalog.FindColumn("internal_id") == nullptr
                                      ? "internal_id"
                                      : "internal_user_id";
  return absl::StrCat(
      catalog.FindColumn(UsersContract().primary_key) == nullptr
          ? ""
          : absl::StrCat("ALTER TABLE :users RENAME COLUMN user_id TO ", aside,
                         "; "),
      "ALTER TABLE :users RENAME COLUMN ", column, " TO user_id");
}

std::string DropReferences(const Catalog& catalog, absl::string_view index) {
  return ForReferences(catalog, index, "ALTER TABLE $0 DROP CONSTRAINT $1; ");
}

std::string AddReferences(const Catalog& catalog, absl::string_view index) {
  return ForReferences(catalog, index, "ALTER TABLE $0 ADD CONSTRAINT $1 $2; ");
}

// No foreign key can refer to one that is deferrable.
std::string RebuildKey(const Catalog& catalog, const CatalogConstraint& key) {
  absl::string_view columns = key.definition;
  absl::ConsumePrefix(&columns, "PRIMARY KEY");
  return absl::StrCat(
      DropReferences(catalog, key.index), "ALTER TABLE :users DROP CONSTRAINT ",
      key.quoted, "; ",
      key.is_deferrable
          ? ""
          : absl::StrCat("ALTER TABLE :users ADD UNIQUE", columns, "; "),
      AddReferences(catalog, key.index),
      "ALTER TABLE :users ADD PRIMARY KEY (user_id)");
}

// A view of one table in its schema is set aside for that table. From
// everything else the rows are copied, and what refers to it refers to the copy
// then. Identities go on where they were.
std::string MakeTable(const Catalog& catalog) {
  const std::vector<std::string>& bases = catalog.Others("base");
  if (catalog.kind == "v" && bases.size() == 1 && !bases.front().empty()) {
    return absl::Substitute(
        "ALTER VIEW :users RENAME TO $0; ALTER TABLE $1 RENAME TO users",
        catalog.aside, bases.front());
  }
  std::string sql = absl::Substitute(
      "ALTER TABLE :users RENAME TO $0; CREATE TABLE :users (LIKE :schema.$0 "
      "INCLUDING ALL); INSERT INTO :users ($1) OVERRIDING SYSTEM VALUE SELECT "
      "$1 FROM :schema.$0",
      catalog.aside, ColumnList(catalog));
  for (const CatalogColumn& column : catalog.columns) {
    if (column.identity.empty()) continue;
    absl::SubstituteAndAppend(
        &sql,
        "; SELECT setval(pg_get_serial_sequence(:'users', '$0'), (SELECT "
        "max($1) FROM :users))",
        absl::StrReplaceAll(column.name, {{"'", "''"}}), column.quoted);
  }
  const std::string references = absl::StrCat("; ", DropReferences(catalog, ""),
                                              AddReferences(catalog, ""));
  return absl::StrCat(sql, absl::StripSuffix(references, "; "));
}

std::string TakeInHeirs(const Catalog& catalog) {
  const std::string columns = ColumnList(catalog);
  return absl::StrJoin(
      catalog.Others("heir"), "; ",
      [&](std::string* sql, const std::string& heir) {
        absl::SubstituteAndAppend(
            sql,
            "INSERT INTO :users ($0) OVERRIDING SYSTEM VALUE SELECT $0 FROM "
            "ONLY $1 ON CONFLICT DO NOTHING; ALTER TABLE $1 NO INHERIT :users",
            columns, heir);
      });
}

}  // namespace userprofile::schema
