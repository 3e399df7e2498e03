// Damages a table that is as needed at random, and sees that every damage is
// named, that a repair mends it or says why not, and that nothing is lost.
//
// A case is known by its number, which a failure prints. To see one again:
//   USERPROFILE_TEST_SEED=NUMBER USERPROFILE_TEST_CASES=1 repair_property_test

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/repair.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::IsEmpty;

std::uint64_t NumberFrom(const char* variable, std::uint64_t otherwise) {
  std::uint64_t number = otherwise;
  if (const char* text = std::getenv(variable); text != nullptr) {
    EXPECT_TRUE(absl::SimpleAtoi(text, &number)) << variable << ": " << text;
  }
  return number;
}

struct RandomDamage {
  std::string sql;
  std::set<std::string> objects;  // of the breaches that it makes
};

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}

  std::size_t Below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(engine_);
  }

  template <typename List>
  auto OneOf(const List& list) {
    return list[Below(std::size(list))];
  }

 private:
  std::mt19937_64 engine_;
};

std::string NameOf(const Column& column) {
  return absl::StrCat("users.", column.name);
}

RandomDamage DropColumn(Chance& chance) {
  const Column& column = chance.OneOf(UsersContract().columns);
  RandomDamage damage = {
      absl::StrCat("ALTER TABLE users DROP COLUMN ", column.name),
      {NameOf(column)}};
  if (absl::string_view(column.name) == UsersContract().primary_key) {
    damage.objects.insert("users primary key");
  }
  for (const Index& index : UsersContract().indexes) {
    if (absl::string_view(index.column) == column.name) {
      damage.objects.insert(index.name);
    }
  }
  return damage;
}

RandomDamage ChangeType(Chance& chance) {
  const Column& column = chance.OneOf(UsersContract().columns);
  static const std::map<std::string, std::vector<const char*>> kWrong = {
      {"bigint", {"integer", "smallint", "numeric", "text"}},
      {"character varying",
       {"varchar(64)", "char(40)", "text", "bytea USING %s::bytea"}},
      {"text",
       {"varchar(64)", "varchar", "char(40)", "integer USING 7",
        "bytea USING %s::bytea"}},
      {"boolean", {"integer USING %s::integer", "text"}},
      {"jsonb", {"json", "text"}},
      {"timestamp without time zone",
       {"timestamptz", "timestamp(0)", "date", "text"}},
      {"timestamp with time zone",
       {"timestamp", "timestamptz(3)", "date", "text"}}};
  const std::string type = chance.OneOf(kWrong.at(column.type));
  return {absl::StrCat("ALTER TABLE users ALTER ", column.name,
                       " DROP DEFAULT, ALTER ", column.name, " TYPE ",
                       absl::StrReplaceAll(type, {{"%s", column.name}})),
          {NameOf(column)}};
}

RandomDamage ChangeNullability(Chance& chance) {
  const Column& column = chance.OneOf(UsersContract().columns);
  const std::string name = column.name;
  if (column.nullable) {
    return {absl::StrFormat("DELETE FROM users WHERE %1$s IS NULL; ALTER TABLE "
                            "users ALTER %1$s SET NOT NULL",
                            name),
            {NameOf(column)}};
  }
  const char* const rows[] = {"false", "row_id % 2 = 0", "true"};
  return {absl::StrFormat("ALTER TABLE users ALTER %1$s DROP NOT NULL; UPDATE "
                          "users SET %1$s = NULL WHERE %2$s",
                          name, rows[chance.Below(3)]),
          {NameOf(column)}};
}

RandomDamage ChangeDefault(Chance& chance) {
  const Column& column = chance.OneOf(UsersContract().columns);
  const std::string type = column.type;
  const bool is_number = type == "bigint";
  return {absl::StrCat("ALTER TABLE users ALTER ", column.name,
                       column.default_value == kAnyDefault ? " DROP DEFAULT"
                       : type == "boolean"
                           ? absl::StrCat(" SET DEFAULT ",
                                          column.default_value == nullptr ||
                                                  column.default_value[0] == 'f'
                                              ? "true"
                                              : "false")
                       : is_number                       ? " SET DEFAULT 42"
                       : type.rfind("timestamp", 0) == 0 ? " SET DEFAULT now()"
                       : type == "jsonb"                 ? " SET DEFAULT '{}'"
                                         : " SET DEFAULT 'anonymous'"),
          {NameOf(column)}};
}

RandomDamage Generate(Chance& chance) {
  const char* const columns[] = {"last_name", "phone", "grade_year"};
  const std::string name = columns[chance.Below(3)];
  RandomDamage damage = {
      absl::StrFormat(
          "ALTER TABLE users DROP %1$s; ALTER TABLE users ADD %1$s text "
          "GENERATED ALWAYS AS (coalesce(username, '') || '!') STORED",
          name),
      {"users." + name}};
  if (name == "grade_year") damage.objects.insert("idx_users_grade_year");
  return damage;
}

RandomDamage Identify(Chance& chance) {
  const char* const columns[] = {"user_id", "revision"};
  const char* const kinds[] = {"ALWAYS", "BY DEFAULT"};
  const std::string name = columns[chance.Below(2)];
  return {absl::StrFormat("ALTER TABLE users ALTER %1$s DROP DEFAULT; ALTER "
                          "TABLE users ALTER %1$s ADD GENERATED %2$s AS "
                          "IDENTITY",
                          name, kinds[chance.Below(2)]),
          {"users." + name}};
}

RandomDamage DamageKey(Chance& chance) {
  const char* const sql[] = {
      "",
      "INSERT INTO users (row_id, user_id) VALUES (99, 3)",
      "ALTER TABLE users ADD PRIMARY KEY (user_id, row_id)",
      "ALTER TABLE users ADD PRIMARY KEY (user_id) DEFERRABLE",
      "ALTER TABLE users ADD UNIQUE (user_id)",
      "CREATE TABLE users_pkey ()",
  };
  return {absl::StrCat("ALTER TABLE users DROP CONSTRAINT users_pkey; ",
                       sql[chance.Below(std::size(sql))]),
          {"users primary key"}};
}

RandomDamage DamageIndex(Chance& chance) {
  const Index& index = chance.OneOf(UsersContract().indexes);
  const std::string drop = absl::StrCat("DROP INDEX ", index.name, ";");
  const char* const wrong[] = {
      "",
      "CREATE UNIQUE INDEX %1$s ON users (lower(%2$s::text))",
      "CREATE INDEX %1$s ON users (%2$s) WHERE is_active",
      "CREATE INDEX %1$s ON users (%2$s, user_id)",
      "CREATE INDEX %1$s ON users (last_name)",
      "CREATE INDEX %1$s ON users (%2$s); UPDATE pg_index SET indisvalid = "
      "false WHERE indexrelid = '%1$s'::regclass",
      "CREATE UNIQUE INDEX %1$s ON users (last_name); UPDATE pg_index SET "
      "indisvalid = false WHERE indexrelid = '%1$s'::regclass",
      "ALTER TABLE users ADD CONSTRAINT %1$s UNIQUE (phone)",
      "CREATE TABLE %1$s (n integer)",
      "UPDATE users SET %2$s = DEFAULT",
      "UPDATE users SET %2$s = (SELECT min(%2$s::text) FROM users)",
      "CREATE TABLE %1$s_set_aside (); CREATE INDEX %1$s ON users (real_name)",
  };
  std::string sql = wrong[chance.Below(std::size(wrong))];
  sql =
      absl::StrReplaceAll(sql, {{"%1$s", index.name}, {"%2$s", index.column}});
  if (index.unique && chance.Below(4) == 0) {
    sql = absl::StrFormat("CREATE INDEX %s ON users (%s)", index.name,
                          index.column);
  }
  return {drop + sql, {index.name}};
}

RandomDamage DamageTable(Chance& chance) {
  const char* const sql[] = {
      "ALTER TABLE users SET UNLOGGED",
      "CREATE TABLE foreign_child () INHERITS (users)",
      "CREATE RULE foreign_rule AS ON UPDATE TO users DO INSTEAD NOTHING",
      "CREATE RULE foreign_rule AS ON INSERT TO users DO ALSO SELECT 1",
      "CREATE TRIGGER foreign_before BEFORE INSERT OR UPDATE ON users"
      " FOR EACH ROW EXECUTE FUNCTION foreign_nothing()",
      "CREATE TRIGGER foreign_stubborn BEFORE UPDATE ON users"
      " FOR EACH ROW EXECUTE FUNCTION foreign_stubborn()",
      "ALTER TABLE users ADD CONSTRAINT foreign_check CHECK (user_id <> 7)",
  };
  return {sql[chance.Below(std::size(sql))], {"users"}};
}

RandomDamage AddForeign(Chance& chance) {
  const char* const sql[] = {
      "ALTER TABLE users ADD foreign_score integer NOT NULL DEFAULT 5",
      "ALTER TABLE users ADD \"Foreign, 'odd'\" text",
      "ALTER TABLE users ADD foreign_copy text GENERATED ALWAYS AS"
      " (first_name || phone) STORED",
      "CREATE INDEX foreign_index ON users (lower(username::text), phone)",
      "CREATE UNIQUE INDEX foreign_unique ON users (user_id, nickname)",
      "CREATE VIEW foreign_view AS SELECT user_id, nickname, phone FROM users",
      "CREATE TABLE foreign_visits (user_id bigint REFERENCES users)",
      "CREATE TRIGGER foreign_after AFTER INSERT OR UPDATE ON users"
      " FOR EACH ROW EXECUTE FUNCTION foreign_log()",
      "CREATE TRIGGER foreign_of AFTER UPDATE OF is_active, created_at ON users"
      " FOR EACH ROW EXECUTE FUNCTION foreign_nothing()",
      "INSERT INTO users (user_id) SELECT 1000 + random() * 1000000",
  };
  return {sql[chance.Below(std::size(sql))], {}};
}

RandomDamage AddHungryColumn(Chance& chance) {
  const std::string name = absl::StrCat("foreign_", chance.Below(100));
  return {absl::StrFormat("ALTER TABLE users ADD %1$s integer NOT NULL DEFAULT "
                          "1; ALTER TABLE users ALTER %1$s DROP DEFAULT",
                          name),
          {"users." + name}};
}

using Maker = RandomDamage (*)(Chance&);
constexpr Maker kMakers[] = {
    DropColumn,    DropColumn,  ChangeType, ChangeType, ChangeNullability,
    ChangeDefault, Generate,    Identify,   DamageKey,  DamageIndex,
    DamageIndex,   DamageTable, AddForeign, AddForeign, AddHungryColumn};

// The right table with users, some of them odd, and what damages need.
constexpr char kPopulate[] = R"sql(
ALTER TABLE users ADD COLUMN row_id integer NOT NULL DEFAULT 0;
INSERT INTO users (row_id, user_id, username, first_name, last_name,
  language_code, onboarding_completed, real_name, nickname, study_track,
  grade_band, grade_year, phone, is_active, created_at, last_seen_at,
  updated_at, last_activity, revision)
SELECT i, i, 'user' || i, 'Näme ' || i, 'x', 'fa', i % 3 = 0, 'real ' || i,
  'nick' || i, 'math', 'band', 'year ' || i, '+98' || i, i % 2 = 0,
  timestamp '2025-01-02 03:04:05.678' + i * interval '1 day',
  timestamptz '2025-03-04 05:06:07.891+00' + i * interval '1 hour',
  timestamp '2025-02-03 04:05:06', timestamptz '2025-03-04 05:06:07+00', i + 1
FROM generate_series(3, 12) AS i;
CREATE FUNCTION foreign_nothing() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION foreign_stubborn() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RETURN OLD; END $$;
CREATE TABLE foreign_rows (at timestamptz DEFAULT now());
CREATE FUNCTION foreign_log() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public AS
  $$ BEGIN INSERT INTO foreign_rows DEFAULT VALUES; RETURN NEW; END $$;
)sql";

// Every foreign thing by its name.
constexpr char kForeignThings[] =
    "SELECT relname::text FROM pg_class WHERE relname LIKE 'foreign%'"
    " UNION ALL SELECT attname FROM pg_attribute"
    " WHERE attrelid = 'users'::regclass AND NOT attisdropped"
    " UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'foreign%'"
    " UNION ALL SELECT rulename FROM pg_rewrite WHERE rulename LIKE 'foreign%'"
    " UNION ALL SELECT conname FROM pg_constraint WHERE conname LIKE 'foreign%'"
    // What an index is on, which may be renamed, if it is not broken. A column
    // of another type is cast in another way.
    " UNION ALL SELECT regexp_replace(regexp_replace("
    "   pg_get_indexdef(indexrelid), ' INDEX .* ON ', ' ON '),"
    "   '[()]|::[a-z]+', '', 'g') FROM pg_index"
    "  WHERE indrelid = 'users'::regclass AND indisvalid"
    "  AND (indnatts > 1 OR indexprs IS NOT NULL)";

// The whole state, to see that it does not change.
constexpr char kState[] =
    "SELECT concat("
    " (SELECT string_agg(u::text, '|' ORDER BY u::text) FROM users AS u),"
    " (SELECT string_agg(concat(attname, ' ',"
    "   format_type(atttypid, atttypmod), attnotnull, atthasdef), '|'"
    "   ORDER BY attnum) FROM pg_attribute"
    "  WHERE attrelid = 'users'::regclass AND NOT attisdropped),"
    " (SELECT string_agg(concat(pg_get_indexdef(indexrelid), indisvalid), '|'"
    "   ORDER BY indexrelid) FROM pg_index"
    "  WHERE indrelid = 'users'::regclass),"
    " (SELECT string_agg(concat(relname, relkind, relfilenode), '|'"
    "   ORDER BY oid) FROM pg_class"
    "  WHERE relnamespace = 'public'::regnamespace))";

class Table {
 public:
  explicit Table(const testing::TestDatabase& database)
      : session_(database.Connect()) {
    Execute(kPopulate);
  }

  // What looks for the tables in it leaves it a safe search path.
  postgres::Session& session() { return *session_; }

  postgres::Rows Execute(const std::string& sql) {
    session_->ExecuteScript("RESET search_path").status().IgnoreError();
    auto rows = session_->ExecuteScript(sql);
    if (!rows.ok()) ADD_FAILURE() << sql << "\n" << rows.status();
    return rows.ok() ? *rows : postgres::Rows();
  }

  // All or nothing; whether it was possible.
  bool TryExecute(const testing::TestDatabase& database,
                  const std::string& sql) {
    session_->ExecuteScript("RESET search_path").status().IgnoreError();
    const bool done = postgres::InTransaction(*session_, [&] {
                        return session_->ExecuteScript(sql).status();
                      }).ok();
    if (!session_->healthy()) session_ = database.Connect();
    return done;
  }

  std::vector<std::string> List(const std::string& sql) {
    const postgres::Rows rows = Execute(sql);
    std::vector<std::string> list;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      list.emplace_back(rows.Text(i, 0));
    }
    return list;
  }

  // "row_id column value" for each value but NULL, whatever type it is stored
  // in: spaces at the end and time zones (all are UTC) are part of that.
  std::vector<std::string> Values() {
    std::vector<std::string> selects;
    for (const std::string& column :
         List("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = "
              "'users'::regclass AND attnum > 0 AND NOT attisdropped")) {
      selects.push_back(absl::StrFormat(
          "SELECT concat(row_id, ' ', $$%1$s$$, ' ', rtrim(regexp_replace("
          "%1$s::text, '\\+00$', ''))) FROM users WHERE %1$s IS NOT NULL",
          column));
    }
    return List(absl::StrJoin(selects, " UNION ALL "));
  }

 private:
  std::unique_ptr<postgres::Session> session_;
};

std::set<std::string> ObjectsOf(const Report& report) {
  std::set<std::string> objects;
  for (const Breach& breach : report.breaches) objects.insert(breach.object);
  return objects;
}

// What is in `before`, but not as often in `after`.
std::vector<std::string> Lost(std::vector<std::string> before,
                              std::vector<std::string> after) {
  std::sort(before.begin(), before.end());
  std::sort(after.begin(), after.end());
  std::vector<std::string> lost;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(lost));
  return lost;
}

void RunCase(std::uint64_t seed, const testing::TestDatabase& database) {
  Chance chance(seed);
  CreateUnmigratedTable(database);
  Table table(database);

  std::string story;
  std::set<std::string> expected;
  const std::size_t wanted = 1 + chance.Below(6);
  std::vector<RandomDamage> damages;
  for (std::size_t i = 0; i < wanted; ++i) {
    damages.push_back(chance.OneOf(kMakers)(chance));
  }
  // Last: an index becomes valid again when the table is rewritten.
  std::stable_partition(damages.begin(), damages.end(), [](const auto& damage) {
    return !absl::StrContains(damage.sql, "indisvalid");
  });
  for (const RandomDamage& damage : damages) {
    if (!table.TryExecute(database, damage.sql)) continue;  // another is first
    absl::StrAppend(&story, damage.sql, ";\n");
    expected.insert(damage.objects.begin(), damage.objects.end());
  }
  SCOPED_TRACE(story);

  const auto before = Inspect(table.session());
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ(ObjectsOf(*before), expected) << FormatText(*before);

  const std::vector<std::string> values = table.Values();
  const std::vector<std::string> things = table.List(kForeignThings);
  const auto count = table.Execute("SELECT count(*) FROM users").Int64(0, 0);
  const auto first = Repair(database.session_factory(), {});
  ASSERT_TRUE(first.ok()) << first.status();
  SCOPED_TRACE(FormatText(*first));

  EXPECT_EQ(table.Execute("SELECT count(*) FROM users").Int64(0, 0), count);
  EXPECT_THAT(Lost(values, table.Values()), IsEmpty());
  EXPECT_THAT(Lost(things, table.List(kForeignThings)), IsEmpty());

  // What is left is refused, and what is refused is left.
  std::set<std::string> refused;
  for (const RepairOutcome& outcome : first->outcomes) {
    EXPECT_NE(outcome.state, RepairOutcome::State::kPlanned);
    if (outcome.state != RepairOutcome::State::kRefused) continue;
    EXPECT_FALSE(outcome.reason.empty());
    refused.insert(outcome.step.objects.begin(), outcome.step.objects.end());
  }
  EXPECT_EQ(ObjectsOf(first->report), refused) << FormatText(first->report);
  const auto after = Inspect(table.session());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(FormatJson(*after), FormatJson(first->report));

  const std::string state(table.Execute(kState).Text(0, 0));
  const auto second = Repair(database.session_factory(), {});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(table.Execute(kState).Text(0, 0), state);
  for (const RepairOutcome& outcome : second->outcomes) {
    EXPECT_EQ(outcome.state, RepairOutcome::State::kRefused);
  }
}

// The same damages in each run, so that a failure is its change's. To look for
// more: USERPROFILE_TEST_SEED=$RANDOM$RANDOM USERPROFILE_TEST_CASES=10000.
TEST(RepairPropertyTest, MendsRandomDamageOrSaysWhyNotAndLosesNothing) {
  const std::uint64_t seed = NumberFrom("USERPROFILE_TEST_SEED", 1);
  const std::uint64_t cases = NumberFrom("USERPROFILE_TEST_CASES", 300);
  std::cout << "USERPROFILE_TEST_SEED=" << seed << std::endl;
  spdlog::set_level(spdlog::level::warn);
  testing::TestDatabase database;
  for (std::uint64_t i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("USERPROFILE_TEST_SEED=", seed + i,
                              " USERPROFILE_TEST_CASES=1"));
    RunCase(seed + i, database);
  }
}

}  // namespace
}  // namespace userprofile::schema
