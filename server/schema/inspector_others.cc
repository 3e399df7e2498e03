#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "server/schema/adoption.h"
#include "server/schema/inspector.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

using enum Severity;

// A kind of what others hung on the table, or of what holds it.
struct KindOfOther {
  const char* name;  // Catalog::others has them, or Others
  Severity severity;
  const char* expected;
  const char* found;   // before the names
  const char* advice;  // before the SQL; nullptr if that needs no decision
  const char* sql;     // about $0, for the role $1, with what else is known, $2
  const char* or_sql = nullptr;  // where no row breaks it
};

// A trigger that changes a row before it is stored is common and mostly
// harmless, and what it stores is what we answer: it is only reported, and so
// is a constraint, which may refuse nobody in practice.
constexpr KindOfOther kKinds[] = {
    {"rule", kBlocking, "no rules for INSERT and UPDATE", "rules",
     "a trigger can do what a rule does", "DROP RULE $0 ON :users"},
    {"no identity", kBlocking, "a replica identity, for it is published",
     "no replica identity, so that PostgreSQL refuses every update, for "
     "publications",
     "say what identifies a row", "ALTER TABLE :users REPLICA IDENTITY $2"},
    {"filter", kBlocking, "row filters of columns of the replica identity only",
     "row filters of other columns, so that PostgreSQL refuses every update, "
     "in publications",
     "publish whole rows as their identity",
     "ALTER TABLE :users REPLICA IDENTITY FULL"},
    {"list", kBlocking, "column lists that hold the replica identity",
     "column lists without it, so that PostgreSQL refuses every update, in "
     "publications",
     "publish all columns",
     "ALTER PUBLICATION $0 DROP TABLE :users; ALTER PUBLICATION $0 ADD TABLE "
     ":users"},
    {"whole", kBlocking, "a table by itself, which takes every user",
     "partition of", "make it one", "ALTER TABLE $0 DETACH PARTITION :users"},
    {"encoding", kBlocking, "a database in UTF8", "encoding",
     "it can't hold every name; make one that can, and move into it with "
     "pg_dump and psql",
     "CREATE DATABASE $2 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE "
     "template0"},
    {"collation", kBlocking, "nicknames that differ if they differ",
     "nondeterministic collation of",
     "nicknames that look alike to it are refused",
     "ALTER TABLE :users ALTER COLUMN $0 TYPE $2 COLLATE "
     "pg_catalog.\"default\""},
    {"sequence", kBlocking, "USAGE", "no USAGE of", nullptr,
     "GRANT USAGE ON SEQUENCE $0 TO $1"},
    {"trigger", kAdvisory,
     "no trigger that can change or swallow what is written", "BEFORE triggers",
     "see that none returns NULL or OLD, or touches the columns of the "
     "service; else make it an AFTER trigger, or",
     "ALTER TABLE :users DISABLE TRIGGER $0"},
    {"function", kAdvisory, "functions that find all that they name",
     "functions without a search path, called as users are written",
     "sessions of the service find what has its schema before its name, and "
     "nothing else; if that is not enough for it, let it keep the search path "
     "that it had, in which others should not be able to create",
     "ALTER FUNCTION $0 SET search_path = $2"},
    {"guard", kAdvisory, "no constraint that could refuse a user",
     "constraints or unique indexes",
     "see that none refuses what users may have (a username passes from one to "
     "another), or drop it",
     "$2"},
    {"promise", kAdvisory, "no constraint that old rows may break",
     "NOT VALID constraints", "who breaks one can't be updated",
     "ALTER TABLE :users DROP CONSTRAINT $0",
     "ALTER TABLE :users VALIDATE CONSTRAINT $0"},
    {"parent", kAdvisory, "no table that it inherits from", "inherits from",
     "its columns can't be altered", "ALTER TABLE :users NO INHERIT $0"},
    {"extension", kAdvisory, "a table that no extension owns",
     "owned by the extension",
     "backups by pg_dump leave it out, and it goes when the extension goes",
     "ALTER EXTENSION $0 DROP TABLE :users"},
    {"no encoding", kAdvisory, "a database in UTF8", "encoding",
     "it may hold text that can't be read; move with pg_dump and psql into "
     "one that can't",
     "CREATE DATABASE $2 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE "
     "template0"},
    {"other collation", kAdvisory, "values that differ if they differ",
     "nondeterministic collation of",
     "a change that it does not see is not stored",
     "ALTER TABLE :users ALTER COLUMN $0 TYPE $2 COLLATE "
     "pg_catalog.\"default\""},
};

bool Contains(const std::vector<int>& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

bool ContainsAll(const std::vector<int>& numbers,
                 const std::vector<int>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](int n) { return Contains(numbers, n); });
}

class Others {
 public:
  Others(const Catalog& catalog, const Contract& contract)
      : catalog_(catalog), contract_(contract) {}

  std::vector<Breach> Run() {
    if (catalog_.kind == "r") Find();
    if (catalog_.encoding != "UTF8") {
      others_[catalog_.encoding == "SQL_ASCII" ? "no encoding" : "encoding"]
             [catalog_.encoding] = catalog_.copy_name;
    }
    std::vector<Breach> breaches;
    for (const KindOfOther& kind : kKinds) {
      const auto found = others_.find(kind.name);
      if (found == others_.end()) continue;
      breaches.push_back(BreachOf(kind, found->second));
    }
    return breaches;
  }

 private:
  using Items = std::map<std::string, std::string>;  // a name, and $2 for it

  // What else is on the table that some kind is about.
  void Find() {
    for (const auto& [kind, names] : catalog_.others) {
      for (const std::string& name : names) others_[kind][name];
    }
    for (auto& [name, path] : others_["function"]) path = catalog_.search_path;
    if (others_["function"].empty()) others_.erase("function");
    FindPublications();
    FindGuards();
    for (const Column& column : contract_.columns) {
      const CatalogColumn* found = catalog_.FindColumn(column.name);
      if (found == nullptr || !found->is_vague) continue;
      const bool is_key =
          std::any_of(contract_.indexes.begin(), contract_.indexes.end(),
                      [&](const Index& index) {
                        return index.unique && index.column == found->name;
                      });
      others_[is_key ? "collation" : "other collation"][found->quoted] =
          found->type;
    }
  }

  // PostgreSQL refuses an update that it could not tell a subscriber of.
  void FindPublications() {
    const std::string& how = catalog_.replica_identity;
    const bool is_whole = how == "f";
    const char* identity_sql = "FULL";
    std::vector<int> identity;
    for (const CatalogIndex& index : catalog_.indexes) {
      if (!index.is_of_users) continue;
      if (index.is_primary) identity_sql = "DEFAULT";
      if ((how == "d" && index.is_primary) ||
          (how == "i" && index.is_identity)) {
        identity = index.columns;
      }
    }
    for (const CatalogPublication& p : catalog_.publications) {
      if (!is_whole && identity.empty()) {
        others_["no identity"][p.quoted] = identity_sql;
      }
      if (!is_whole && !ContainsAll(identity, p.filter)) {
        others_["filter"][p.quoted];
      }
      if (!p.list.empty() && (is_whole || !ContainsAll(p.list, identity))) {
        others_["list"][p.quoted];
      }
    }
  }

  // What could refuse a user for a column of ours: constraints, and unique
  // indexes, unless user_id is part of them or they are ours. What refers to
  // one has to go first.
  void FindGuards() {
    std::vector<int> ours;
    for (const Column& column : contract_.columns) {
      const CatalogColumn* found = catalog_.FindColumn(column.name);
      if (found != nullptr) ours.push_back(found->number);
    }
    const CatalogColumn* user_id = catalog_.FindColumn(contract_.primary_key);
    const auto may_refuse = [&](absl::string_view name,
                                const std::vector<int>& columns) {
      return std::none_of(
                 contract_.indexes.begin(), contract_.indexes.end(),
                 [&](const Index& index) { return index.name == name; }) &&
             std::any_of(columns.begin(), columns.end(), [&](int number) {
               return number == 0 || Contains(ours, number);
             });
    };
    const std::string drop = "ALTER TABLE :users DROP CONSTRAINT ";
    for (const CatalogConstraint& c : catalog_.constraints) {
      if (c.type == "c" && !c.is_validated) {
        others_["promise"][c.quoted];
      } else if (c.is_of_users && c.type != "p" && c.type != "u" &&
                 may_refuse(c.quoted, c.columns)) {
        others_["guard"][c.quoted] = drop + c.quoted;
      }
    }
    for (const CatalogIndex& i : catalog_.indexes) {
      if (i.is_of_users && i.is_unique && !i.is_primary &&
          (user_id == nullptr || !i.Has(user_id->number)) &&
          may_refuse(i.name, i.columns)) {
        others_["guard"][i.quoted] =
            absl::StrCat(DropReferences(catalog_, i.name),
                         i.constraint.empty() ? "DROP INDEX :schema." + i.quoted
                                              : drop + i.constraint);
      }
    }
  }

  // One for all of a kind.
  Breach BreachOf(const KindOfOther& kind, const Items& items) const {
    const auto list = [&](absl::string_view separator, const char* format) {
      return absl::StrJoin(
          items, separator, [&](std::string* text, const auto& item) {
            absl::SubstituteAndAppend(text, format, item.first, catalog_.role,
                                      item.second);
          });
    };
    std::string remedy = list("; ", kind.sql);
    if (kind.or_sql != nullptr) {
      absl::StrAppend(&remedy, "; or, if no row breaks it, ",
                      list("; ", kind.or_sql));
    }
    const std::string found = absl::StrCat(kind.found, ": ", list(", ", "$0"));
    if (kind.advice == nullptr) {
      return {kind.severity,
              Fault::kRightsMissing,
              "rights on sequences",
              kind.expected,
              found,
              remedy};
    }
    return {
        kind.severity,   Fault::kForPerson,
        contract_.table, kind.expected,
        found,           absl::StrCat(kByPerson, kind.advice, ": ", remedy)};
  }

  const Catalog& catalog_;
  const Contract& contract_;
  std::map<std::string, Items> others_;  // by kind
};

}  // namespace

std::vector<Breach> JudgeOthers(const Catalog& catalog,
                                const Contract& contract) {
  return Others(catalog, contract).Run();
}

}  // namespace userprofile::schema
