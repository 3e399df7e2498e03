#include "server/schema/inspector.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "base/status_macros.h"
#include "server/postgres/table_names.h"
#include "server/schema/adoption.h"
#include "server/schema/own_tables.h"
#include "server/schema/remedies.h"
#include "server/users/token_key.h"

namespace userprofile::schema {
namespace {

constexpr char kOrdinaryTable[] = "an ordinary table";

using enum Severity;

// One judgement: holds what was found so far.
class Judgement {
 public:
  Judgement(const Catalog& catalog, const Contract& contract)
      : catalog_(catalog), contract_(contract) {}

  Report Run() {
    report_.schema = catalog_.schema;
    report_.migrations_pending = catalog_.migrations_pending;
    report_.unknown_migrations = catalog_.unknown_migrations;
    for (const char* kind : {"function", "quiet function"}) {
      if (!catalog_.doubtful_owner.empty()) continue;
      for (const std::string& name : catalog_.Others(kind)) {
        report_.search_paths.push_back(
            absl::StrCat("ALTER FUNCTION ", name,
                         " SET search_path = ", catalog_.search_path));
      }
    }
    if (catalog_.schema.empty()) {
      ExplainMissingTable();
    } else {
      CheckTable();
    }
    if (catalog_.kind == "r") {
      CheckSchema();
      CheckKeyColumn();
      CheckColumns();
      CheckPrimaryKey();
      for (const Index& index : contract_.indexes) CheckIndex(index);
      CheckAccess();
      CheckTokenKey();
      CheckOwnTables();
    }
    CheckHistory();
    if (HasDoubtfulOwner(catalog_)) Break(JudgeOwner(catalog_));
    std::vector<Breach> others = JudgeOthers(catalog_, contract_);
    std::move(others.begin(), others.end(),
              std::back_inserter(report_.breaches));
    std::stable_sort(report_.breaches.begin(), report_.breaches.end(),
                     [](const Breach& a, const Breach& b) {
                       return a.severity > b.severity;
                     });
    for (Breach& breach : report_.breaches) {
      breach.remedy = postgres::NameTables(breach.remedy, catalog_.schema);
    }
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
    Break({kBlocking, Fault::kForPerson, std::string(object),
           std::string(expected), std::string(found),
           absl::StrCat(kByPerson, remedy), column});
  }

  // Never by creating an empty table where there was one: all its users would
  // look new.
  void ExplainMissingTable() {
    if (catalog_.elsewhere.has_value()) {
      return Refer(contract_.table, kOrdinaryTable, kMissing,
                   absl::StrCat("there is ", catalog_.elsewhere->place,
                                ": if its users are those of the bot, ",
                                catalog_.elsewhere->sql,
                                "; or, if users shall begin empty, run "
                                "'userprofile-server migrate up --new-table'"));
    }
    if (catalog_.migrations_applied) {
      // They are not run again, and so can't bring it back.
      return Refer(contract_.table, kOrdinaryTable, kMissing,
                   "it was here, for the migrations were applied: restore a "
                   "backup ('userprofile-server backup restore FILE'); or, if "
                   "users shall begin empty, run 'userprofile-server migrate "
                   "up' after DROP TABLE userprofile_migrations");
    }
    Break({kBlocking, Fault::kForPerson, contract_.table, kOrdinaryTable,
           kMissing, kRunMigrations});
  }

  void CheckTable() {
    if (catalog_.kind != "r") {
      Refer(contract_.table, kOrdinaryTable,
            absl::StrCat("relkind \"", catalog_.kind, "\""),
            absl::StrCat("make a table with its rows, in one transaction, and "
                         "give it the rights and triggers that it had: ",
                         MakeTable(catalog_)));
    } else if (!catalog_.Others("heir").empty()) {
      // A user in one of them could be read, but would be created again.
      Refer(contract_.table, "no table that inherits from it", "inherited from",
            absl::StrCat("take in the rows of the tables that inherit, which "
                         "keep theirs: ",
                         TakeInHeirs(catalog_)));
    } else if (catalog_.persistence != "p") {
      Break({kBlocking, Fault::kUnlogged, contract_.table,
             "a table that survives a crash", "unlogged",
             "ALTER TABLE :users SET LOGGED"});
    } else {
      Hold(contract_.table, kOrdinaryTable);
    }
  }

  // A search path that leads to another table than the one that was migrated:
  // whoever is known there looks new here.
  void CheckSchema() {
    const auto& other = catalog_.elsewhere;
    if (catalog_.has_history || !other.has_value() || !other->has_its_name ||
        !other->has_history) {
      return;
    }
    Refer(kSchemaOfUsers,
          absl::StrCat(other->schema, ", where a history of migrations is"),
          catalog_.schema,
          absl::StrCat(other->sql,
                       "; or, if this is the table, run 'userprofile-server "
                       "migrate up --new-table'"));
  }

  // An internal number in user_id is taken for a Telegram id: every user would
  // look new, and some be taken for others.
  void CheckKeyColumn() {
    const std::string object = absl::StrCat("users.", contract_.primary_key);
    if (catalog_.FindColumn(contract_.primary_key) != nullptr) {
      if (catalog_.key_beside.empty()) return;
      key_column_ = catalog_.key_beside;
      return Refer(
          object, "the Telegram user id",
          absl::StrCat("another number than in users.", key_column_),
          absl::StrCat("if users.", key_column_, " holds the Telegram ids, ",
                       TakeAsKey(catalog_, key_column_),
                       "; or, if user_id does, COMMENT ON COLUMN "
                       ":users.user_id IS 'Telegram user id'"),
          // A repair leaves it alone until then.
          contract_.columns.data());
    }
    const CatalogColumn* key = FindKey(catalog_);
    if (key != nullptr) key_column_ = key->quoted;
    Refer(object, "bigint", kMissing,
          absl::StrCat("rename the column that holds the Telegram user id",
                       key == nullptr ? ", or add it" : ": ",
                       key == nullptr ? "" : TakeAsKey(catalog_, key->quoted)));
  }

  void CheckColumns() {
    std::set<absl::string_view> names;
    for (const Column& column : contract_.columns) {
      names.insert(column.name);
      if (const CatalogColumn* found = catalog_.FindColumn(column.name)) {
        CheckColumn(column, *found);
        // Of the key CheckKeyColumn tells.
      } else if (column.name != absl::string_view(contract_.primary_key)) {
        Break({kBlocking, Fault::kColumnMissing,
               absl::StrCat("users.", column.name), column.type, kMissing,
               AddColumn(column), &column});
      }
    }
    std::vector<const CatalogColumn*> others;
    for (const CatalogColumn& column : catalog_.columns) {
      if (!names.contains(column.name)) others.push_back(&column);
    }
    std::sort(others.begin(), others.end(),
              [](const auto* a, const auto* b) { return a->name < b->name; });
    for (const CatalogColumn* column : others) CheckForeignColumn(*column);
  }

  void CheckColumn(const Column& column, const CatalogColumn& found) {
    const std::string object = absl::StrCat("users.", column.name);
    const std::size_t breaches_before = report_.breaches.size();
    const auto alter = [&](const char* action) {
      return absl::StrCat("ALTER TABLE :users ALTER COLUMN ", column.name, " ",
                          action);
    };

    if (found.type != column.type) {
      const auto is_any_text = [](absl::string_view name) {
        return name == "text" || name == "character varying";
      };
      Break({is_any_text(found.type) && is_any_text(column.type)
                 ? kAdvisory  // they differ in name only
                 : kBlocking,
             CanChangeType(column, found.type) ? Fault::kColumnType
                                               : Fault::kForPerson,
             object, column.type, found.type, ChangeType(column, found.type),
             &column});
    }
    if (found.not_null == column.nullable) {
      const char* words[] = {"nullable", "not null"};
      Break({kBlocking, Fault::kColumnNullability, object,
             words[column.nullable ? 0 : 1], words[found.not_null ? 1 : 0],
             ChangeNullability(column), &column});
    }
    absl::optional<std::string> default_value = found.default_value;
    if (found.is_generated) {
      Break({kBlocking, Fault::kColumnGenerated, object,
             "a column that can be written", "generated",
             alter("DROP EXPRESSION"), &column});
      default_value.reset();
    } else if (!found.identity.empty()) {
      Break({found.identity == "a" ? kBlocking : kAdvisory,
             Fault::kColumnIdentity, object, "no identity", "identity",
             alter("DROP IDENTITY"), &column});
      default_value.reset();
    }
    CheckDefault(column, object, default_value);

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
  void CheckForeignColumn(const CatalogColumn& column) {
    const bool is_of_key =
        std::any_of(catalog_.indexes.begin(), catalog_.indexes.end(),
                    [&](const CatalogIndex& index) {
                      return index.is_of_users && index.is_primary &&
                             index.Has(column.number);
                    });
    if (!column.not_null || column.default_value.has_value() ||
        !column.identity.empty() || column.is_generated || is_of_key ||
        column.quoted == key_column_) {
      return;
    }
    Break({kBlocking, Fault::kForPerson, absl::StrCat("users.", column.quoted),
           "nullable, or a default, so that new users can be stored",
           "not null without a default",
           absl::StrCat("ALTER TABLE :users ALTER COLUMN ", column.quoted,
                        column.type == "uuid" ? " SET DEFAULT gen_random_uuid()"
                                              : " DROP NOT NULL")});
  }

  void CheckPrimaryKey() {
    const std::string object = absl::StrCat(contract_.table, " primary key");
    const std::string expected =
        absl::StrCat("PRIMARY KEY (", contract_.primary_key, ")");
    const auto key =
        std::find_if(catalog_.constraints.begin(), catalog_.constraints.end(),
                     [](const CatalogConstraint& c) { return c.type == "p"; });
    if (key == catalog_.constraints.end()) {
      Break({kBlocking, Fault::kPrimaryKeyMissing, object, expected, kMissing,
             absl::StrCat("ALTER TABLE :users ADD ", expected)});
    } else if (key->definition == expected) {
      Hold(object, expected);
    } else if (catalog_.FindColumn(contract_.primary_key) != nullptr) {
      Refer(object, expected, key->definition,
            absl::StrCat("make it a unique constraint, in one transaction: ",
                         RebuildKey(catalog_, *key)));
    }
  }

  void CheckIndex(const Index& index) {
    const std::string create = CreateIndex(index);
    Breach breach = {index.unique ? kBlocking : kAdvisory,
                     Fault::kIndexMissing,
                     index.name,
                     absl::StrCat(index.unique ? "unique index" : "index",
                                  " on (", KeyOf(index), ")"),
                     kMissing,
                     create,
                     nullptr,
                     &index};
    const auto found = std::find_if(
        catalog_.indexes.begin(), catalog_.indexes.end(),
        [&](const CatalogIndex& i) { return i.name == index.name; });
    if (found == catalog_.indexes.end()) return Break(std::move(breach));
    if (!found->is_of_users) {
      breach.fault = Fault::kForPerson;
      breach.found = "something else's name";
      breach.remedy = absl::Substitute(
          "$0set aside what has the name: ALTER TABLE $1.$2 RENAME TO "
          "$2_set_aside; $3",
          kByPerson, report_.schema, index.name, create);
      return Break(std::move(breach));
    }

    std::vector<std::string> faults;
    // PostgreSQL writes a cast only where the column's type needs one.
    const auto without_cast = [](const std::string& key) {
      return absl::StrReplaceAll(key, {{"::text", ""}});
    };
    const bool ours = without_cast(found->keys) == without_cast(KeyOf(index));
    if (!found->is_valid) faults.emplace_back("invalid");
    if (found->is_unique != index.unique) {
      faults.emplace_back(found->is_unique ? "unique" : "not unique");
    }
    if (!found->is_immediate) faults.emplace_back("deferrable");
    if (found->is_partial) faults.emplace_back("partial");
    if (found->nulls_not_distinct) faults.emplace_back("nulls not distinct");
    if (found->is_vague) faults.emplace_back("nondeterministic collation");
    if (!ours) faults.push_back(absl::StrCat("on (", found->keys, ")"));
    if (faults.empty()) return Hold(index.name, breach.expected);

    // A unique index where none should be refuses users' answers.
    if (found->is_unique) breach.severity = kBlocking;
    breach.found = absl::StrJoin(faults, ", ");
    if (!found->constraint.empty()) {
      breach.fault = Fault::kForPerson;
      breach.remedy = absl::Substitute(
          "$0set the constraint aside: ALTER TABLE :users RENAME CONSTRAINT $1 "
          "TO $1_set_aside; $2",
          kByPerson, index.name, create);
    } else if (ours || !found->is_valid) {
      breach.fault = Fault::kIndexInvalid;
      breach.remedy =
          absl::StrCat("DROP INDEX :schema.", index.name, "; ", create);
    } else {
      breach.fault = Fault::kIndexElse;
      breach.remedy =
          absl::Substitute("ALTER INDEX :schema.$0 RENAME TO $0_set_aside; $1",
                           index.name, create);
    }
    Break(std::move(breach));
  }

  void CheckAccess() {
    const std::string rights = absl::StrCat("rights on ", contract_.table);
    constexpr char kNeeded[] = "SELECT, INSERT, UPDATE, DELETE";
    if (catalog_.lacks_rights.empty()) {
      Hold(rights, kNeeded);
    } else {
      // Without the right to delete it serves all but DeleteUser.
      const bool serves = catalog_.lacks_rights == "DELETE";
      Break({serves ? kAdvisory : kBlocking, Fault::kRightsMissing, rights,
             kNeeded, absl::StrCat("no ", catalog_.lacks_rights),
             absl::StrCat("GRANT ", kNeeded, " ON :users TO ", catalog_.role)});
    }
    if (!catalog_.may_use_schema) {
      Break({kBlocking, Fault::kRightsMissing,
             absl::StrCat("rights on schema ", catalog_.schema), "USAGE",
             "no USAGE",
             absl::StrCat("GRANT USAGE ON SCHEMA ", catalog_.schema, " TO ",
                          catalog_.role)});
    }
    // It could serve; but it could not say what is pending.
    if (!catalog_.hidden_history.empty()) {
      Break({kAdvisory, Fault::kRightsMissing,
             "rights on userprofile_migrations", "SELECT", "no SELECT",
             absl::StrCat("GRANT SELECT ON ", catalog_.hidden_history, " TO ",
                          catalog_.role)});
    }

    // A policy can hide a user, who would then look new.
    if (catalog_.hides_rows) {
      Refer(
          contract_.table, "every row visible", "row-level security",
          absl::StrCat("ALTER TABLE :users DISABLE ROW LEVEL SECURITY; or, if "
                       "others shall still not see all, ALTER ROLE ",
                       catalog_.role, " BYPASSRLS"));
    }
  }

  // Most calls go on without it.
  void CheckTokenKey() {
    const std::string table = users::kTokenKeyTable;
    constexpr char kExpected[] = "a key for tokens that callers are given";
    const std::string grant =
        absl::StrCat("GRANT SELECT ON :schema.", table, " TO ", catalog_.role);
    if (catalog_.token_key.empty()) {
      Hold(table, kExpected);
    } else if (catalog_.token_key == "missing") {
      Break({kAdvisory, Fault::kTableMissing, table, kExpected, kMissing,
             absl::StrCat(users::kMakeTokenKey, "; ", grant)});
    } else if (catalog_.token_key == "hidden") {
      Break({kAdvisory, Fault::kRightsMissing,
             absl::StrCat("rights on ", table), "SELECT", "no SELECT", grant});
    } else {
      Break({kAdvisory, Fault::kForPerson, table, kExpected,
             catalog_.token_key == "no key"
                 ? "a table without such a key"
                 : "a table that others may have made",
             absl::StrCat(kByPerson,
                          "set it aside, then run 'userprofile-server schema "
                          "repair': ALTER TABLE :schema.",
                          table, " RENAME TO ", table, "_set_aside")});
    }
  }

  void CheckOwnTables() {
    for (std::size_t i = 0; i < kOwnTables.size(); ++i) {
      const OwnTable& table = kOwnTables[i];
      const CatalogOwnTable& found = catalog_.own_tables[i];
      std::vector<Breach> breaches = JudgeOwnTable(table, found, catalog_.role);
      if (breaches.empty()) Hold(table.name, table.what);
      std::move(breaches.begin(), breaches.end(),
                std::back_inserter(report_.breaches));
      if (found.is_right()) report_.usable_tables.insert(table.name);
    }
  }

  // It could serve without one.
  void CheckHistory() {
    if (catalog_.history_refusal.empty()) return;
    const std::pair<std::string, std::string> words =
        absl::StrSplit(catalog_.history_refusal, absl::MaxSplits("; ", 1));
    Break({kAdvisory, Fault::kForPerson, "userprofile_migrations",
           "a history that only the owner of users can change", words.first,
           absl::StrCat(kByPerson, words.second)});
  }

  const Catalog& catalog_;
  const Contract& contract_;
  std::string key_column_;  // where Telegram ids are, if not in user_id
  Report report_;
};

}  // namespace

Breach JudgeOwner(const Catalog& catalog) {
  return {
      kAdvisory,
      Fault::kForPerson,
      "owner of users",
      "this role, one that it is a member of, or one that may create schemas "
      "in the database",
      absl::StrCat("it belongs to ", catalog.doubtful_owner),
      absl::StrCat(
          kByPerson,
          "whoever owns it reads all users, and what hangs on it runs with the "
          "rights of whoever migrates; if it is a bot's own, migrate as ",
          catalog.doubtful_owner,
          ", or take it over, and let the bot go on, with "
          "deploy/postgres/roles.sql -v owner=NAME, or by what a superuser or "
          "a member of both roles can run: ALTER TABLE :users OWNER TO ",
          catalog.session_role, "; GRANT ALL ON :users TO ",
          catalog.doubtful_owner,
          "; or, if nobody knows it, set it aside: ALTER TABLE :users RENAME "
          "TO ",
          catalog.aside)};
}

Report Judge(const Catalog& catalog, const Contract& contract) {
  return Judgement(catalog, contract).Run();
}

absl::StatusOr<Report> Inspect(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations,
    const std::string& role) {
  USERPROFILE_ASSIGN_OR_RETURN(const Catalog catalog,
                               ReadCatalog(session, migrations, role));
  return Judge(catalog);
}

}  // namespace userprofile::schema
