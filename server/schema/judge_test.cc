// The judgement alone: catalogs in, breaches out, and no database.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/schema/inspector.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

CatalogColumn* ColumnOf(Catalog& catalog, const std::string& name) {
  return const_cast<CatalogColumn*>(catalog.FindColumn(name));
}

// A column of others, which is the last one.
CatalogColumn& Add(Catalog& catalog, const std::string& name,
                   const std::string& type) {
  CatalogColumn& column = catalog.columns.emplace_back();
  column.number = static_cast<int>(catalog.columns.size());
  column.name = column.quoted = name;
  column.type = type;
  return column;
}

CatalogIndex& AddIndex(Catalog& catalog, const std::string& name,
                       const std::string& column, bool unique) {
  CatalogIndex& index = catalog.indexes.emplace_back();
  index.name = index.quoted = name;
  index.is_of_users = index.is_valid = index.is_immediate = true;
  index.is_unique = unique;
  index.keys = column;
  index.columns = {catalog.FindColumn(column)->number};
  return index;
}

void AddConstraint(Catalog& catalog, const std::string& name,
                   const std::string& type, const std::string& column,
                   bool is_validated = true) {
  CatalogConstraint& constraint = catalog.constraints.emplace_back();
  constraint.quoted = name;
  constraint.type = type;
  constraint.table = "users";
  constraint.is_of_users = true;
  constraint.is_validated = is_validated;
  constraint.columns = {catalog.FindColumn(column)->number};
}

// What the contract asks for, migrated.
Catalog AsNeeded() {
  Catalog catalog;
  catalog.encoding = "UTF8";
  catalog.copy_name = "bot_utf8";
  catalog.role = "bot";
  catalog.may_use_schema = catalog.may_read = true;
  catalog.schema = "public";
  catalog.kind = "r";
  catalog.persistence = "p";
  catalog.replica_identity = "d";
  catalog.aside = "users_set_aside";
  catalog.has_history = catalog.migrations_applied = true;
  for (const Column& column : UsersContract().columns) {
    CatalogColumn& found = Add(catalog, column.name, column.type);
    found.not_null = !column.nullable;
    if (column.default_value != nullptr) {
      found.default_value = column.default_value;
    }
  }
  AddIndex(catalog, "users_pkey", "user_id", true).is_primary = true;
  for (const Index& index : UsersContract().indexes) {
    AddIndex(catalog, index.name, index.column, index.unique).keys =
        KeyOf(index);
  }
  AddConstraint(catalog, "users_pkey", "p", "user_id");
  catalog.constraints.back().definition = "PRIMARY KEY (user_id)";
  catalog.constraints.back().index = "users_pkey";
  return catalog;
}

TEST(JudgeTest, FindsNothingWrongWithWhatIsAsNeeded) {
  const Report report = Judge(AsNeeded());
  EXPECT_THAT(report.breaches, IsEmpty());
  // The table, its key, its rights, the key of tokens, the tables beside.
  EXPECT_EQ(report.holdings.size(), UsersContract().columns.size() +
                                        UsersContract().indexes.size() + 4 +
                                        kOwnTables.size());
}

struct Case {
  const char* label;
  void (*change)(Catalog&);
  const char* found;  // in the line about the first breach
  Fault fault;
  const char* remedy;  // in it
  Severity severity = Severity::kBlocking;
};

constexpr Severity kAdvisory = Severity::kAdvisory;

const Case kCases[] = {
    {"nothing anywhere",
     [](Catalog& c) {
       c = Catalog();
       c.encoding = "UTF8";
     },
     "users is missing", Fault::kForPerson, kRunMigrations},
    {"lost after it was migrated",
     [](Catalog& c) {
       c = Catalog();
       c.encoding = "UTF8";
       c.migrations_applied = true;
     },
     "users is missing", Fault::kForPerson, "restore a backup"},
    {"under another name",
     [](Catalog& c) {
       c = Catalog();
       c.encoding = "UTF8";
       c.migrations_applied = true;
       c.elsewhere = {"public.people", "public", false, false, "RENAME it"};
     },
     "users is missing", Fault::kForPerson,
     "there is public.people: if its users are those of the bot, RENAME it; "
     "or, if users shall begin empty"},
    {"another table than the migrated one",
     [](Catalog& c) {
       c.has_history = false;
       c.elsewhere = {"bot.users", "bot", true, true, "SET search_path"};
     },
     "schema of users is not as needed: public instead of bot",
     Fault::kForPerson, "SET search_path; or, if this is the table"},
    {"a view of one table of its schema",
     [](Catalog& c) {
       c.kind = "v";
       c.others["base"] = {"people"};
     },
     "relkind \"v\"", Fault::kForPerson,
     "ALTER VIEW public.users RENAME TO users_set_aside; ALTER TABLE people "
     "RENAME TO "
     "users"},
    {"a partitioned table that others refer to",
     [](Catalog& c) {
       c.kind = "p";
       c.columns.resize(1);
       AddConstraint(c, "orders_fk", "f", "user_id");
       c.constraints.back().table = "orders";
       c.constraints.back().index = "users_pkey";
       c.constraints.back().definition = "FOREIGN KEY (u) REFERENCES users";
     },
     "relkind \"p\"", Fault::kForPerson,
     "INSERT INTO public.users (user_id) OVERRIDING SYSTEM VALUE SELECT "
     "user_id FROM "
     "public.users_set_aside; ALTER TABLE orders DROP CONSTRAINT orders_fk; "
     "ALTER "
     "TABLE orders ADD CONSTRAINT orders_fk FOREIGN KEY (u) REFERENCES users"},
    {"tables that inherit", [](Catalog& c) { c.others["heir"] = {"vips"}; },
     "inherited from", Fault::kForPerson,
     "FROM ONLY vips ON CONFLICT DO NOTHING; ALTER TABLE vips NO INHERIT"},
    {"unlogged", [](Catalog& c) { c.persistence = "u"; }, "unlogged",
     Fault::kUnlogged, "SET LOGGED"},
    {"no column",
     [](Catalog& c) {
       c.columns.erase(c.columns.begin() +
                       (ColumnOf(c, "revision") - c.columns.data()));
     },
     "users.revision is missing", Fault::kColumnMissing, "ADD COLUMN revision"},
    {"no key, but a column that may be it",
     [](Catalog& c) {
       ColumnOf(c, "user_id")->quoted = "tg";
       ColumnOf(c, "user_id")->likeness = 3;
       ColumnOf(c, "user_id")->can_hold_id = true;
       ColumnOf(c, "user_id")->name = "tg";
     },
     "users.user_id is missing", Fault::kForPerson,
     "user id: ALTER TABLE public.users RENAME COLUMN tg TO user_id"},
    {"ids in another column", [](Catalog& c) { c.key_beside = "telegram_id"; },
     "another number than in users.telegram_id", Fault::kForPerson,
     "ALTER TABLE public.users RENAME COLUMN user_id TO internal_id; ALTER "
     "TABLE public.users"
     " RENAME COLUMN telegram_id TO user_id; or, if user_id does"},
    {"a type that can be widened",
     [](Catalog& c) { ColumnOf(c, "phone")->type = "character varying(9)"; },
     "users.phone is not as needed: character varying(9)", Fault::kColumnType,
     "ALTER COLUMN phone TYPE text"},
    {"a type that only a person can convert",
     [](Catalog& c) { ColumnOf(c, "phone")->type = "bytea"; }, "bytea",
     Fault::kForPerson, "convert_from"},
    {"a type that differs in name only",
     [](Catalog& c) { ColumnOf(c, "phone")->type = "character varying"; },
     "users.phone", Fault::kColumnType, "TYPE text", kAdvisory},
    {"nullable", [](Catalog& c) { ColumnOf(c, "is_active")->not_null = false; },
     "nullable instead of not null", Fault::kColumnNullability, "SET NOT NULL"},
    {"not null", [](Catalog& c) { ColumnOf(c, "username")->not_null = true; },
     "not null instead of nullable", Fault::kColumnNullability,
     "DROP NOT NULL"},
    {"generated", [](Catalog& c) { ColumnOf(c, "phone")->is_generated = true; },
     "generated", Fault::kColumnGenerated, "DROP EXPRESSION"},
    {"an identity", [](Catalog& c) { ColumnOf(c, "user_id")->identity = "a"; },
     "identity", Fault::kColumnIdentity, "DROP IDENTITY"},
    {"an identity that gives way",
     [](Catalog& c) { ColumnOf(c, "user_id")->identity = "d"; }, "identity",
     Fault::kColumnIdentity, "DROP IDENTITY", kAdvisory},
    {"a default that would be an answer",
     [](Catalog& c) { ColumnOf(c, "nickname")->default_value = "'x'"; },
     "default 'x' instead of no default", Fault::kColumnDefault,
     "DROP DEFAULT"},
    {"no default",
     [](Catalog& c) { ColumnOf(c, "created_at")->default_value.reset(); },
     "no default instead of a default", Fault::kColumnDefault, "SET DEFAULT",
     kAdvisory},
    {"a column of others that new users lack",
     [](Catalog& c) { Add(c, "city", "text").not_null = true; },
     "users.city is not as needed: not null without a default",
     Fault::kForPerson, "ALTER COLUMN city DROP NOT NULL"},
    {"a uuid of others",
     [](Catalog& c) { Add(c, "id", "uuid").not_null = true; }, "users.id",
     Fault::kForPerson, "SET DEFAULT gen_random_uuid()"},
    {"no primary key",
     [](Catalog& c) {
       c.constraints.clear();
       c.indexes.erase(c.indexes.begin());
     },
     "users primary key is missing", Fault::kPrimaryKeyMissing,
     "ADD PRIMARY KEY (user_id)"},
    {"another primary key, that others refer to",
     [](Catalog& c) {
       Add(c, "id", "integer");
       c.constraints.back().definition = "PRIMARY KEY (id)";
       AddConstraint(c, "orders_fk", "f", "id");
       c.constraints.back().table = "orders";
       c.constraints.back().is_of_users = false;
       c.constraints.back().index = "users_pkey";
       c.constraints.back().definition = "FOREIGN KEY (u) REFERENCES users(id)";
     },
     "PRIMARY KEY (id) instead of PRIMARY KEY (user_id)", Fault::kForPerson,
     "ALTER TABLE orders DROP CONSTRAINT orders_fk; ALTER TABLE public.users "
     "DROP "
     "CONSTRAINT users_pkey; ALTER TABLE public.users ADD UNIQUE (id); ALTER "
     "TABLE "
     "orders ADD CONSTRAINT orders_fk FOREIGN KEY (u) REFERENCES users(id); "
     "ALTER TABLE public.users ADD PRIMARY KEY (user_id)"},
    {"an index that is not unique",
     [](Catalog& c) { c.indexes[1].is_unique = false; }, "not unique",
     Fault::kIndexInvalid,
     "DROP INDEX public.idx_users_nickname; CREATE UNIQUE"},
    {"an index that is unique where none should be",
     [](Catalog& c) { c.indexes[2].is_unique = true; },
     "unique instead of index on (onboarding_completed)", Fault::kIndexInvalid,
     "DROP INDEX"},
    {"an index of something else",
     [](Catalog& c) { c.indexes[4].keys = "phone"; }, "on (phone)",
     Fault::kIndexElse, "RENAME TO idx_users_grade_year_set_aside", kAdvisory},
    {"an index that is all wrong",
     [](Catalog& c) {
       c.indexes[4].is_valid = c.indexes[4].is_immediate = false;
       c.indexes[4].is_partial = c.indexes[4].is_vague = true;
       c.indexes[4].nulls_not_distinct = true;
     },
     "invalid, deferrable, partial, nulls not distinct, nondeterministic",
     Fault::kIndexInvalid, "DROP INDEX", kAdvisory},
    {"a name that something else has",
     [](Catalog& c) { c.indexes[4].is_of_users = false; },
     "something else's name", Fault::kForPerson,
     "ALTER TABLE public.idx_users_grade_year RENAME TO", kAdvisory},
    {"a constraint with an index's name",
     [](Catalog& c) {
       c.indexes[1].constraint = "idx_users_nickname";
       c.indexes[1].keys = "username";
     },
     "on (username)", Fault::kForPerson, "RENAME CONSTRAINT"},
    {"rights", [](Catalog& c) { c.lacks_rights = "INSERT, UPDATE"; },
     "rights on users is not as needed: no INSERT, UPDATE",
     Fault::kRightsMissing,
     "GRANT SELECT, INSERT, UPDATE, DELETE ON public.users TO bot"},
    {"the right to delete", [](Catalog& c) { c.lacks_rights = "DELETE"; },
     "no DELETE", Fault::kRightsMissing,
     "GRANT SELECT, INSERT, UPDATE, DELETE ON public.users TO bot", kAdvisory},
    {"the schema", [](Catalog& c) { c.may_use_schema = false; }, "no USAGE",
     Fault::kRightsMissing, "GRANT USAGE ON SCHEMA public TO bot"},
    {"the history", [](Catalog& c) { c.hidden_history = "public.h"; },
     "no SELECT", Fault::kRightsMissing, "GRANT SELECT ON public.h TO bot",
     kAdvisory},
    {"rows that are hidden", [](Catalog& c) { c.hides_rows = true; },
     "row-level security", Fault::kForPerson, "ALTER ROLE bot BYPASSRLS"},
    {"sequences",
     [](Catalog& c) {
       c.others["sequence"] = {"s", "t"};
     },
     "no USAGE of: s, t", Fault::kRightsMissing,
     "GRANT USAGE ON SEQUENCE s TO bot; GRANT USAGE ON SEQUENCE t TO bot"},
    {"rules", [](Catalog& c) { c.others["rule"] = {"r"}; }, "rules: r",
     Fault::kForPerson, "DROP RULE r ON public.users"},
    {"triggers", [](Catalog& c) { c.others["trigger"] = {"t"}; },
     "BEFORE triggers: t", Fault::kForPerson, "DISABLE TRIGGER t", kAdvisory},
    {"a partition", [](Catalog& c) { c.others["whole"] = {"all_users"}; },
     "partition of: all_users", Fault::kForPerson,
     "DETACH PARTITION public.users"},
    {"a parent", [](Catalog& c) { c.others["parent"] = {"base"}; },
     "inherits from: base", Fault::kForPerson, "NO INHERIT base", kAdvisory},
    {"an extension", [](Catalog& c) { c.others["extension"] = {"e"}; },
     "owned by the extension: e", Fault::kForPerson, "ALTER EXTENSION e DROP",
     kAdvisory},
    {"published without an identity",
     [](Catalog& c) {
       c.replica_identity = "n";
       c.publications = {{"p", {}, {}}};
     },
     "for publications: p", Fault::kForPerson, "REPLICA IDENTITY DEFAULT"},
    {"published without an identity or a key",
     [](Catalog& c) {
       c.indexes.erase(c.indexes.begin());
       c.publications = {{"p", {}, {}}};
     },
     "for publications: p", Fault::kForPerson, "REPLICA IDENTITY FULL"},
    {"a row filter of another column",
     [](Catalog& c) {
       c.publications = {{"p", {1, 2}, {}}};
     },
     "in publications: p", Fault::kForPerson, "REPLICA IDENTITY FULL"},
    {"a column list without the key",
     [](Catalog& c) {
       c.publications = {{"p", {1}, {2, 3}}};
     },
     "column lists without it", Fault::kForPerson,
     "ALTER PUBLICATION p ADD TABLE public.users"},
    {"a column list where the whole row is the identity",
     [](Catalog& c) {
       c.replica_identity = "f";
       c.publications = {{"p", {2}, {1, 2}}};
     },
     "column lists without it", Fault::kForPerson, "ALTER PUBLICATION p DROP"},
    {"a collation of the nickname",
     [](Catalog& c) { ColumnOf(c, "nickname")->is_vague = true; },
     "collation of: nickname", Fault::kForPerson,
     "ALTER COLUMN nickname TYPE character varying COLLATE"},
    {"a collation of another column",
     [](Catalog& c) { ColumnOf(c, "phone")->is_vague = true; },
     "collation of: phone", Fault::kForPerson, "TYPE text COLLATE", kAdvisory},
    {"an encoding", [](Catalog& c) { c.encoding = "LATIN1"; },
     "encoding: LATIN1", Fault::kForPerson, "CREATE DATABASE bot_utf8"},
    {"no encoding", [](Catalog& c) { c.encoding = "SQL_ASCII"; },
     "encoding: SQL_ASCII", Fault::kForPerson, "CREATE DATABASE bot_utf8",
     kAdvisory},
    {"constraints that may refuse a user, and an index that is referred to",
     [](Catalog& c) {
       AddConstraint(c, "b", "c", "phone");
       AddIndex(c, "a", "username", true).constraint = "a";
       AddConstraint(c, "z", "f", "username");
       c.constraints.back().table = "orders";
       c.constraints.back().is_of_users = false;
       c.constraints.back().index = "a";
     },
     "constraints or unique indexes: a, b", Fault::kForPerson,
     "ALTER TABLE orders DROP CONSTRAINT z; ALTER TABLE public.users DROP "
     "CONSTRAINT "
     "a; ALTER TABLE public.users DROP CONSTRAINT b",
     kAdvisory},
    {"constraints that old rows may break",
     [](Catalog& c) {
       Add(c, "coins", "integer");
       AddConstraint(c, "m", "c", "coins", false);
       AddConstraint(c, "n", "c", "coins", false);
     },
     "NOT VALID constraints: m, n", Fault::kForPerson,
     "DROP CONSTRAINT m; ALTER TABLE public.users DROP CONSTRAINT n; or, if no "
     "row "
     "breaks it, ALTER TABLE public.users VALIDATE CONSTRAINT m; ALTER TABLE",
     kAdvisory},
};

TEST(JudgeTest, NamesWhatIsWrongAndWhatToDo) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(test.label);
    Catalog catalog = AsNeeded();
    test.change(catalog);
    const Report report = Judge(catalog);
    ASSERT_FALSE(report.breaches.empty());
    const Breach& first = report.breaches.front();
    EXPECT_THAT(Describe(first), HasSubstr(test.found));
    EXPECT_EQ(static_cast<int>(first.fault), static_cast<int>(test.fault));
    EXPECT_THAT(first.remedy, HasSubstr(test.remedy));
    EXPECT_EQ(first.severity, test.severity);
    EXPECT_EQ(report.ToStatus().ok(), test.severity == kAdvisory);
  }
}

TEST(JudgeTest, LeavesAloneWhatRefusesNobody) {
  void (*const kChanges[])(Catalog&) = {
      [](Catalog& c) { Add(c, "city", "text"); },
      [](Catalog& c) {
        Add(c, "id", "bigint").not_null = true;
        c.columns.back().identity = "a";
      },
      [](Catalog& c) {
        Add(c, "coins", "integer");
        AddConstraint(c, "of_others", "c", "coins");
        AddIndex(c, "of_others", "coins", true);
      },
      [](Catalog& c) {
        AddIndex(c, "with_the_key", "username", true).columns.push_back(1);
      },
      [](Catalog& c) { AddIndex(c, "plain", "username", false); },
      [](Catalog& c) {
        c.publications = {{"p", {1}, {1, 2}}, {"q", {}, {}}};
      },
      [](Catalog& c) {
        c.replica_identity = "f";
        c.publications = {{"p", {2}, {}}};
      },
      [](Catalog& c) {
        c.has_history = false;
        c.elsewhere = {"bot.people", "bot", false, true, ""};
      },
  };
  int i = 0;
  for (const auto& change : kChanges) {
    SCOPED_TRACE(i++);
    Catalog catalog = AsNeeded();
    change(catalog);
    const Report report = Judge(catalog);
    for (const Breach& breach : report.breaches) {
      ADD_FAILURE() << Describe(breach);
    }
  }
}

TEST(JudgeTest, NamesWhatBlocksFirstAndSaysWhatIsPending) {
  Catalog catalog = AsNeeded();
  catalog.others["trigger"] = {"t"};
  catalog.columns.pop_back();
  catalog.hides_rows = true;
  catalog.migrations_pending = true;
  catalog.unknown_migrations = {"099_new"};
  const Report report = Judge(catalog);
  ASSERT_EQ(report.breaches.size(), 3u);
  EXPECT_EQ(report.breaches[0].fault, Fault::kColumnMissing);
  EXPECT_EQ(report.breaches[1].found, "row-level security");
  EXPECT_EQ(report.breaches[2].severity, kAdvisory);
  EXPECT_STREQ(report.NextCommand(), "migrate up");
  EXPECT_EQ(report.unknown_migrations, catalog.unknown_migrations);
}

}  // namespace
}  // namespace userprofile::schema
