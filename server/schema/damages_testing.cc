#include "server/schema/damages_testing.h"

#include <algorithm>
#include <regex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/postgres/table_names.h"
#include "server/schema/own_tables.h"
#include "server/schema/remedies.h"
#include "server/users/token_key.h"

namespace userprofile::schema {
namespace {

constexpr Severity kAdvisory = Severity::kAdvisory;
constexpr Severity kBlocking = Severity::kBlocking;

constexpr Damage kDamages[] = {
    // Columns
    {"ALTER TABLE users DROP first_name", "users.first_name", kBlocking},
    {"ALTER TABLE users DROP onboarding_completed",
     "users.onboarding_completed", kBlocking},
    {"ALTER TABLE users DROP is_active, DROP created_at", "users.is_active",
     kBlocking},
    {"ALTER TABLE users DROP revision", "users.revision", kBlocking},
    {"ALTER TABLE users RENAME user_id TO telegram_id", "users.user_id",
     kBlocking, "users.user_id is missing; a person must decide: rename"},

    // Types
    {"ALTER TABLE users ALTER first_name TYPE varchar(64)", "users.first_name",
     kBlocking},
    {"ALTER TABLE users ALTER phone TYPE char(20)", "users.phone", kBlocking},
    {"ALTER TABLE users ALTER first_name TYPE text", "users.first_name",
     kAdvisory},
    {"ALTER TABLE users ALTER grade_year TYPE smallint USING 3",
     "users.grade_year", kBlocking},
    {"ALTER TABLE users ALTER user_id TYPE integer", "users.user_id",
     kBlocking},
    {"ALTER TABLE users ALTER last_seen_at TYPE timestamp",
     "users.last_seen_at", kBlocking},
    {"ALTER TABLE users ALTER created_at TYPE timestamptz, "
     "ALTER created_at SET DEFAULT now()",
     "users.created_at", kBlocking},
    {"ALTER TABLE users ALTER updated_at TYPE timestamp(0)", "users.updated_at",
     kBlocking},
    {"ALTER TABLE users ALTER phone TYPE bytea USING phone::bytea",
     "users.phone", kBlocking, "users.phone is not as needed: bytea"},
    {"ALTER TABLE users ALTER first_name TYPE varchar(64);"
     "CREATE VIEW names AS SELECT first_name FROM users",
     "users.first_name", kBlocking, "drop what depends on the column", false},
    {"ALTER TABLE users DROP last_name; ALTER TABLE users "
     "ADD last_name text GENERATED ALWAYS AS (first_name || '!') STORED",
     "users.last_name", kBlocking},
    {"ALTER TABLE users ALTER user_id ADD GENERATED ALWAYS AS IDENTITY",
     "users.user_id", kBlocking},

    // NULL and defaults
    {"ALTER TABLE users ALTER username SET NOT NULL", "users.username",
     kBlocking},
    {"ALTER TABLE users ALTER is_active DROP NOT NULL", "users.is_active",
     kBlocking},
    {"ALTER TABLE users ALTER onboarding_completed DROP NOT NULL;"
     "UPDATE users SET onboarding_completed = NULL",
     "users.onboarding_completed", kBlocking, nullptr, false},
    {"ALTER TABLE users ALTER onboarding_completed SET DEFAULT true",
     "users.onboarding_completed", kAdvisory},
    {"ALTER TABLE users ALTER nickname SET DEFAULT 'anonymous'",
     "users.nickname", kBlocking},
    {"ALTER TABLE users ALTER created_at DROP DEFAULT", "users.created_at",
     kAdvisory},
    {"ALTER TABLE users ALTER \"Coins\" SET NOT NULL", "users.\"Coins\"",
     kBlocking, "\"Coins\" is not as needed: not null without"},

    {"ALTER TABLE users ALTER revision DROP NOT NULL,"
     " ALTER revision DROP DEFAULT; UPDATE users SET revision = NULL",
     "users.revision", kBlocking, nullptr, false},

    // The primary key
    {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
     "ALTER TABLE users ALTER user_id DROP NOT NULL",
     "users.user_id", kBlocking},
    {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
     "INSERT INTO users (user_id, revision) VALUES (1, 2)",
     "users primary key", kBlocking, "1 users have more than one row", false},
    {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
     "ALTER TABLE users ALTER user_id DROP NOT NULL;"
     "INSERT INTO users (user_id) VALUES (NULL)",
     "users.user_id", kBlocking, "1 rows of users have no user_id", false},
    {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
     "ALTER TABLE users ADD PRIMARY KEY (user_id, created_at)",
     "users primary key", kBlocking, "instead of PRIMARY KEY (user_id)"},
    {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
     "ALTER TABLE users ADD PRIMARY KEY (user_id) DEFERRABLE",
     "users primary key", kBlocking, "instead of PRIMARY KEY (user_id)"},

    // The table of changes
    {"DROP TABLE userprofile_changes", kChangesTable, kBlocking},
    {"DROP TABLE userprofile_changes; CREATE TABLE userprofile_changes (n int)",
     kChangesTable, kBlocking, "another table"},
    {"ALTER TABLE userprofile_changes DROP CONSTRAINT userprofile_changes_pkey",
     kChangesTable, kBlocking, "another table"},
    {"DROP INDEX userprofile_changes_user_id_xid_idx", kChangesTable, kBlocking,
     "another table"},

    // The table of sessions
    {"DROP TABLE userprofile_sessions", kSessionsTable, kAdvisory},

    // Indexes
    {"DROP INDEX idx_users_nickname", "idx_users_nickname", kBlocking},
    {"DROP INDEX idx_users_grade_year", "idx_users_grade_year", kAdvisory},
    {"DROP INDEX idx_users_username", "idx_users_username", kAdvisory},
    {"DROP INDEX idx_users_username;"
     "CREATE INDEX idx_users_username ON users (username)",
     "idx_users_username", kAdvisory},
    {"DROP INDEX idx_users_username;"
     "CREATE INDEX idx_users_username ON users (lower(username))",
     "idx_users_username", kAdvisory},
    {"DROP INDEX idx_users_nickname; UPDATE users SET nickname = 'same'",
     "idx_users_nickname", kBlocking, "1 nicknames are used by more than one",
     false},
    {"DROP INDEX idx_users_nickname;"
     "CREATE INDEX idx_users_nickname ON users (nickname)",
     "idx_users_nickname", kBlocking},
    {"DROP INDEX idx_users_nickname;"
     "CREATE INDEX idx_users_nickname ON users (lower(nickname))",
     "idx_users_nickname", kBlocking},
    {"DROP INDEX idx_users_nickname; CREATE UNIQUE INDEX idx_users_nickname "
     "ON users (nickname) WHERE onboarding_completed",
     "idx_users_nickname", kBlocking},
    {"DROP INDEX idx_users_nickname; CREATE UNIQUE INDEX idx_users_nickname "
     "ON users (nickname) NULLS NOT DISTINCT",
     "idx_users_nickname", kBlocking},
    {"UPDATE pg_index SET indisvalid = false "
     "WHERE indexrelid = 'idx_users_nickname'::regclass",
     "idx_users_nickname", kBlocking},
    {"DROP INDEX idx_users_study_track; CREATE UNIQUE INDEX "
     "idx_users_study_track ON users (study_track)",
     "idx_users_study_track", kBlocking},
    {"DROP INDEX idx_users_grade_year;"
     "CREATE INDEX idx_users_grade_year ON users (grade_band)",
     "idx_users_grade_year", kAdvisory},
    {"DROP INDEX idx_users_nickname; CREATE TABLE users_old (nickname text);"
     "CREATE UNIQUE INDEX idx_users_nickname ON users_old (nickname)",
     "idx_users_nickname", kBlocking, "something else's name"},
    {"DROP INDEX idx_users_grade_year;"
     "CREATE VIEW idx_users_grade_year AS SELECT 1",
     "idx_users_grade_year", kAdvisory, "something else's name"},
    {"DROP INDEX idx_users_nickname; ALTER TABLE users "
     "ADD CONSTRAINT idx_users_nickname UNIQUE (username)",
     "idx_users_nickname", kBlocking, "set the constraint aside"},

    // The table
    {"ALTER TABLE users SET UNLOGGED", "users", kBlocking},
    {"CREATE TABLE users_2024 () INHERITS (users)", "users", kBlocking,
     "take in the rows"},
    {"ALTER TABLE users RENAME TO people;"
     "CREATE VIEW users AS SELECT * FROM people",
     "users", kBlocking, "instead of an ordinary table"},
};

}  // namespace

absl::Span<const Damage> Damages() { return kDamages; }

void CreateUnmigratedTable(const testing::TestDatabase& database) {
  database.Execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  const Contract& contract = UsersContract();
  std::string sql = "CREATE TABLE users () WITH (fillfactor = 85);";
  for (const Column& column : contract.columns) {
    absl::StrAppend(&sql, "ALTER TABLE users ", AddColumnClause(column), ";");
  }
  for (const Index& index : contract.indexes) {
    absl::StrAppend(&sql, CreateIndex(index), ";");
  }
  absl::StrAppend(&sql, "ALTER TABLE users ADD PRIMARY KEY (",
                  contract.primary_key, ");", users::kMakeTokenKey);
  for (const OwnTable& table : kOwnTables) {
    absl::StrAppend(&sql, ";", table.create);
  }
  database.Execute(postgres::NameTables(sql, "public"));
  database.Execute(
      "ALTER TABLE users ADD COLUMN \"Coins\" integer;"
      "INSERT INTO users (user_id, username, first_name, last_name,"
      " onboarding_completed, nickname, phone, \"Coins\", created_at,"
      " last_seen_at, updated_at) VALUES"
      " (1, 'u1', 'Ali', 'R', true, 'ali', '+98', 10,"
      "  '2025-01-02 03:04:05', '2025-02-03 04:05:06+00',"
      "  '2025-03-04 05:06:07'),"
      " (2, 'u2', 'Sara', NULL, false, NULL, NULL, 20,"
      "  '2024-01-02 03:04:05', NULL, NULL)");
}

void CreateLegacyTable(const testing::TestDatabase& database) {
  database.Execute(R"sql(
CREATE TABLE users (
  user_id bigint PRIMARY KEY,
  is_active boolean,
  created_at timestamp,
  referral text
);
INSERT INTO users VALUES
  (101, true, '2025-10-01 08:00:00.123456', 'spring'),
  (102, true, '2025-10-02 09:30:00', ''),
  (103, false, '2025-10-03 10:45:00', NULL),
  (104, true, '2025-10-19 23:59:59.999999', E'tab\tand "quote"');
CREATE INDEX idx_users_referral ON users (referral);
CREATE VIEW active_users AS SELECT * FROM users WHERE is_active;
CREATE TABLE users_log (user_id bigint);
CREATE FUNCTION log_user() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public AS
  $$ BEGIN INSERT INTO users_log VALUES (NEW.user_id); RETURN NEW; END $$;
CREATE TRIGGER log_users AFTER INSERT OR UPDATE ON users
  FOR EACH ROW EXECUTE FUNCTION log_user();
)sql");
}

std::vector<std::string> SqlIn(absl::string_view text,
                               std::size_t alternative) {
  static const std::regex* const kSql = new std::regex(
      "\\b(ALTER|COMMENT ON|CREATE|DROP|GRANT|INSERT INTO|SELECT|UPDATE) "
      "([^;']|'[^']*')*");
  std::vector<std::string> statements;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> all = absl::StrSplit(line, "; or, ");
    const std::string& one = all[std::min(alternative, all.size() - 1)];
    for (std::sregex_iterator i(one.begin(), one.end(), *kSql), end; i != end;
         ++i) {
      statements.push_back(i->str());
    }
  }
  return statements;
}

std::string Dump(const testing::TestDatabase& database,
                 absl::string_view columns) {
  return std::string(
      database
          .Execute(absl::StrCat("SELECT string_agg(r::text, E'\\n' ORDER BY "
                                "r::text) FROM (SELECT ",
                                columns, " FROM users) AS r"))
          .Text(0, 0));
}

}  // namespace userprofile::schema
