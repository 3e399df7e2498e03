// Tables as bots in the wild leave them: each is adopted with everybody who is
// known in it, after at most the statements that our messages print, or refused
// in words. Nobody becomes new, and no row or column is lost.

#include <cstdint>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// Telegram ids of the users in each shape.
constexpr std::int64_t kKnown[] = {700000001, 700000002, 700000003};

struct Shape {
  const char* label;
  const char* sql;

  // What is said of it first; nullptr if it is adopted at once.
  const char* words = nullptr;

  // Whether only a person can go on from there: nothing is changed then.
  bool is_refused = false;
};

constexpr Shape kShapes[] = {
    {"serial user_id beside telegram_id as text, with orders",
     "CREATE TABLE users (user_id serial PRIMARY KEY,"
     " telegram_id varchar(32) UNIQUE NOT NULL, name text);"
     "INSERT INTO users (telegram_id, name) SELECT 700000000 + i, 'n' || i"
     " FROM generate_series(1, 3) AS i;"
     "CREATE TABLE orders (id serial PRIMARY KEY, user_id integer NOT NULL"
     "  REFERENCES users ON DELETE CASCADE, total integer);"
     "INSERT INTO orders (user_id, total) VALUES (1, 10), (3, 30)",
     "users.telegram_id"},
    {"identity always beside tg_id, which may be NULL",
     "CREATE TABLE users (user_id bigint GENERATED ALWAYS AS IDENTITY"
     "  PRIMARY KEY, tg_id bigint UNIQUE, coins integer DEFAULT 5);"
     "INSERT INTO users (tg_id) SELECT 700000000 + i"
     " FROM generate_series(1, 3) AS i",
     "users.tg_id"},
    {"camelCase: userId and telegramId",
     "CREATE TABLE users (user_id serial PRIMARY KEY, \"telegramId\" bigint"
     "  NOT NULL, \"firstName\" text, \"isPremium\" boolean NOT NULL"
     "  DEFAULT false);"
     "INSERT INTO users (\"telegramId\", \"firstName\")"
     " SELECT 700000000 + i, 'n' FROM generate_series(1, 3) AS i",
     "users.\"telegramId\""},
    {"chat_id beside a serial, not null",
     "CREATE TABLE users (user_id serial PRIMARY KEY, chat_id bigint NOT NULL);"
     "INSERT INTO users (chat_id) SELECT 700000000 + i"
     " FROM generate_series(1, 3) AS i",
     "users.chat_id"},
    {"uuid id with foreign keys, telegram_id as the only key of people",
     "CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),"
     " telegram_id bigint UNIQUE NOT NULL, name text);"
     "INSERT INTO users (telegram_id) SELECT 700000000 + i"
     " FROM generate_series(1, 3) AS i;"
     "CREATE TABLE visits (id uuid REFERENCES users, at timestamptz);"
     "INSERT INTO visits SELECT id, now() FROM users",
     "RENAME COLUMN telegram_id TO user_id"},
    {"uuid id that the program makes (Prisma)",
     "CREATE TABLE users (id uuid NOT NULL, \"telegramId\" bigint NOT NULL,"
     " \"createdAt\" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,"
     " CONSTRAINT users_pkey PRIMARY KEY (id));"
     "CREATE UNIQUE INDEX \"users_telegramId_key\" ON users (\"telegramId\");"
     "INSERT INTO users SELECT gen_random_uuid(), 700000000 + i"
     " FROM generate_series(1, 3) AS i",
     "RENAME COLUMN \"telegramId\" TO user_id"},
    {"TypeORM's table and constraint names",
     "CREATE TABLE \"user\" (id serial CONSTRAINT"
     "  \"PK_cace4a159ff9f2512dd42373760\" PRIMARY KEY,"
     " \"telegramId\" bigint NOT NULL CONSTRAINT \"UQ_ab12\" UNIQUE);"
     "INSERT INTO \"user\" (\"telegramId\") SELECT 700000000 + i"
     " FROM generate_series(1, 3) AS i;"
     "CREATE TABLE post (id serial PRIMARY KEY, \"userId\" integer CONSTRAINT"
     "  \"FK_5c1c\" REFERENCES \"user\" (id));"
     "INSERT INTO post (\"userId\") SELECT id FROM \"user\"",
     "ALTER TABLE public.\"user\" RENAME TO users"},
    {"Prisma's table name in another schema",
     "CREATE SCHEMA bot; CREATE TABLE bot.\"User\" (\"telegramId\" bigint"
     "  PRIMARY KEY, name text);"
     "INSERT INTO bot.\"User\" SELECT 700000000 + i, 'n'"
     " FROM generate_series(1, 3) AS i",
     "ALTER TABLE bot.\"User\" RENAME TO users"},
    {"chat_id as key with a balance",
     "CREATE TABLE accounts (chat_id bigint PRIMARY KEY, balance numeric"
     "  NOT NULL DEFAULT 0 CHECK (balance >= 0));"
     "INSERT INTO accounts SELECT 700000000 + i, i"
     " FROM generate_series(1, 3) AS i",
     "there is public.accounts"},
    {"bot_users with id, which is the Telegram id",
     "CREATE TABLE bot_users (id bigint PRIMARY KEY, lang text);"
     "INSERT INTO bot_users SELECT 700000000 + i"
     " FROM generate_series(1, 3) AS i",
     "RENAME COLUMN id TO user_id"},
    {"a strange name with a strong key",
     "CREATE TABLE leute (tg_user_id bigint PRIMARY KEY, alter_ integer);"
     "INSERT INTO leute SELECT 700000000 + i FROM generate_series(1, 3) AS i",
     "there is public.leute"},
    {"id with unique user_id, and foreign keys to both",
     "CREATE TABLE users (id serial PRIMARY KEY, user_id bigint UNIQUE"
     "  NOT NULL, city text DEFAULT 'x');"
     "INSERT INTO users (user_id) SELECT 700000000 + i"
     " FROM generate_series(1, 3) AS i;"
     "CREATE TABLE a (u integer REFERENCES users (id));"
     "CREATE TABLE b (u bigint REFERENCES users (user_id));"
     "INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (700000003)",
     "make it a unique constraint"},
    {"telegram_id not unique, with doubles",
     "CREATE TABLE users (id serial PRIMARY KEY, user_id bigint);"
     "INSERT INTO users (user_id) SELECT 700000001 + i % 3"
     " FROM generate_series(1, 5) AS i",
     "2 users have more than one row", true},
    {"NOT NULL columns without defaults, one of them unique",
     "CREATE TABLE users (user_id bigint PRIMARY KEY, city text NOT NULL,"
     " invite text NOT NULL UNIQUE);"
     "INSERT INTO users SELECT 700000000 + i, 'c', 'i' || i"
     " FROM generate_series(1, 3) AS i",
     "ALTER COLUMN city DROP NOT NULL"},
    {"defaults, short texts, numbers for truth, a check on what must change",
     "CREATE TABLE users (user_id integer PRIMARY KEY, language_code"
     "  varchar(5) NOT NULL DEFAULT 'en', is_active integer DEFAULT 1,"
     " grade_year integer CHECK (grade_year > 0), created_at date"
     "  DEFAULT CURRENT_DATE, phone bigint);"
     "INSERT INTO users (user_id, grade_year) SELECT 700000000 + i, i"
     " FROM generate_series(1, 3) AS i",
     "ALTER COLUMN is_active DROP DEFAULT"},
    {"a BEFORE UPDATE trigger on updated_at",
     "CREATE TABLE users (user_id bigint PRIMARY KEY, updated_at timestamptz"
     "  DEFAULT now());"
     "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
     " $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;"
     "CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW"
     " EXECUTE FUNCTION touch();"
     "INSERT INTO users SELECT 700000000 + i FROM generate_series(1, 3) AS i"},
    {"row security by the bot's own settings",
     "CREATE TABLE users (user_id bigint PRIMARY KEY);"
     "INSERT INTO users SELECT 700000000 + i FROM generate_series(1, 3) AS i;"
     "ALTER TABLE users ENABLE ROW LEVEL SECURITY;"
     "ALTER TABLE users FORCE ROW LEVEL SECURITY;"
     "CREATE POLICY own ON users USING"
     " (user_id = current_setting('bot.user', true)::bigint)"},
    {"partitioned by hash, with a foreign key",
     "CREATE TABLE users (user_id bigint PRIMARY KEY, name text)"
     " PARTITION BY HASH (user_id);"
     "CREATE TABLE users_0 PARTITION OF users"
     " FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
     "CREATE TABLE users_1 PARTITION OF users"
     " FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
     "INSERT INTO users SELECT 700000000 + i FROM generate_series(1, 3) AS i;"
     "CREATE TABLE notes (u bigint REFERENCES users);"
     "INSERT INTO notes VALUES (700000002)",
     "make a table with its rows"},
    {"a view of another table",
     "CREATE TABLE people (telegram_id bigint PRIMARY KEY, name text);"
     "INSERT INTO people SELECT 700000000 + i FROM generate_series(1, 3) AS i;"
     "CREATE VIEW users AS SELECT telegram_id AS user_id, name FROM people",
     "ALTER TABLE people RENAME TO users"},
    {"tables that inherit",
     "CREATE TABLE users (user_id bigint PRIMARY KEY, name text);"
     "CREATE TABLE vips (since date) INHERITS (users);"
     "INSERT INTO users VALUES (700000001), (700000002);"
     "INSERT INTO vips VALUES (700000003, 'v', '2024-01-01')",
     "take in the rows"},
    {"a true user_id beside an equal chat_id, and groups",
     "CREATE TABLE users (user_id bigint PRIMARY KEY, chat_id bigint UNIQUE,"
     " telegram_id bigint);"
     "INSERT INTO users SELECT 700000000 + i, CASE WHEN i = 3 THEN -100123"
     " ELSE 700000000 + i END FROM generate_series(1, 3) AS i"},
    {"an old row that breaks a NOT VALID check",
     "CREATE TABLE users (user_id bigint PRIMARY KEY, age integer);"
     "INSERT INTO users SELECT 700000000 + i, -1"
     " FROM generate_series(1, 3) AS i;"
     "ALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17) NOT VALID",
     "3 rows of users break the constraint adult"},
};

// The SQL that a message prints: of each line the first of the alternatives.
std::vector<std::string> SqlIn(const std::string& text) {
  const std::regex sql(
      "\\b(ALTER|COMMENT ON|CREATE|DROP|GRANT|INSERT INTO|SELECT|UPDATE) "
      "([^;'\"]|'[^']*'|\"[^\"]*\")*");
  std::vector<std::string> statements;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::string first(line.substr(0, line.find("; or, ")));
    for (std::sregex_iterator i(first.begin(), first.end(), sql), end; i != end;
         ++i) {
      statements.push_back(i->str());
    }
  }
  return statements;
}

class AdoptionTest : public ::testing::TestWithParam<Shape> {
 protected:
  Outcome Run(std::vector<std::string> words) const {
    words.insert(words.begin(), "userprofile-server");
    words.insert(words.end(), {"--database", database_.conninfo()});
    return RunProgram({std::move(words)});
  }

  // How many columns and rows that were there before are so no longer,
  // whatever they are called by now.
  std::int64_t Lost() const {
    return database_
        .Execute(
            "SELECT count(*) FROM public.columns_before AS b LEFT JOIN"
            " pg_attribute AS a USING (attrelid, attnum)"
            " WHERE a.attname IS NULL OR a.attisdropped")
        .Int64(0, 0);
  }

  TestDatabase database_;
};

TEST_P(AdoptionTest, KeepsEverybodyKnownOrIsRefusedInWords) {
  const Shape& shape = GetParam();
  database_.Execute(shape.sql);
  database_.Execute(
      "CREATE TABLE public.columns_before AS SELECT attrelid, attnum FROM "
      "pg_attribute"
      " JOIN pg_class AS c ON c.oid = attrelid WHERE relkind IN ('r', 'p')"
      " AND attnum > 0 AND relnamespace::regnamespace::text IN"
      "  ('public', 'bot')");
  const auto foreign_keys = [&] {
    return database_
        .Execute(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
            " AND conparentid = 0 AND convalidated")
        .Int64(0, 0);
  };
  const std::int64_t references = foreign_keys();

  // Before anything is changed, plan says it as well.
  const Outcome plan = Run({"migrate", "plan"});
  EXPECT_EQ(plan.exit_code, shape.words == nullptr ? 0 : 3);

  Outcome up = Run({"migrate", "up"});
  if (shape.words != nullptr) {
    EXPECT_NE(up.exit_code, 0);
    EXPECT_THAT(up.errors, HasSubstr(shape.words));
    EXPECT_THAT(plan.output, HasSubstr(shape.words));
    EXPECT_TRUE(
        database_
            .Execute("SELECT to_regclass('userprofile_migrations') IS NULL")
            .Bool(0, 0));
  }
  if (shape.is_refused) return;
  for (int round = 0; round < 12 && up.exit_code != 0; ++round) {
    const std::vector<std::string> advice = SqlIn(up.errors);
    ASSERT_FALSE(advice.empty()) << up.errors;
    const auto session = database_.Connect();
    for (const std::string& sql : advice) {
      const absl::Status status = session->ExecuteScript(sql).status();
      ASSERT_TRUE(status.ok()) << sql << "\n" << up.errors << status;
    }
    up = Run({"migrate", "up"});
  }
  ASSERT_EQ(up.exit_code, 0) << up.errors;
  EXPECT_EQ(Lost(), 0);
  EXPECT_EQ(foreign_keys(), references);

  ServerProgram server(database_.conninfo());
  server.StartReady();
  const auto stub = server.NewStub();
  v1::UpsertUserResponse response;
  for (const std::int64_t user : kKnown) {
    const grpc::Status status = Upsert(*stub, user, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_FALSE(response.created()) << user;
  }
  for (const std::int64_t user : {1, 2}) {
    const grpc::Status status = Upsert(*stub, user, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.created()) << user;
  }
  EXPECT_EQ(database_.Execute("SELECT count(*) FROM users").Int64(0, 0), 5);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AdoptionTest, ::testing::ValuesIn(kShapes),
                         [](const ::testing::TestParamInfo<Shape>& info) {
                           return std::regex_replace(
                               std::string(info.param.label),
                               std::regex("[^A-Za-z0-9]+"), "_");
                         });

TEST(NewTableTest, IsMadeBesideWhatLooksLikeUsersOnlyWhenTold) {
  TestDatabase database;
  database.Execute(
      "CREATE TABLE bot_users (tg_id bigint PRIMARY KEY);"
      "INSERT INTO bot_users VALUES (700000001)");
  const std::string flag = absl::StrCat("--database=", database.conninfo());
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "userprofile-server");
    words.push_back(flag);
    return RunProgram({std::move(words)});
  };
  EXPECT_EQ(run({"migrate", "up"}).exit_code, 1);
  EXPECT_EQ(run({"schema", "check"}).exit_code, 3);
  ServerProgram server(database.conninfo(), {"--migrate"});
  server.Start();
  server.AwaitNotReady("users is missing");
  EXPECT_TRUE(
      database.Execute("SELECT to_regclass('users') IS NULL").Bool(0, 0));

  ServerProgram told(database.conninfo(), {"--migrate", "--new-table"});
  told.StartReady();
  EXPECT_EQ(database.Execute("SELECT count(*) FROM bot_users").Int64(0, 0), 1);
}

}  // namespace
}  // namespace userprofile::testing
