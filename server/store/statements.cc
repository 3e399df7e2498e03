#include "server/store/statements.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

using users::Kind;

// Puts parts into SQL, where their names are in braces. A part of several lines
// is indented as the line that names it.
std::string Fill(
    absl::string_view sql,
    const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string filled;
  for (const absl::string_view line : absl::StrSplit(sql, '\n')) {
    const std::string new_line =
        absl::StrCat("\n", std::string(line.find_first_not_of(' '), ' '));
    std::vector<std::pair<std::string, std::string>> indented;
    for (const auto& [name, part] : parts) {
      indented.emplace_back(absl::StrCat("{", name, "}"),
                            absl::StrReplaceAll(part, {{"\n", new_line}}));
    }
    absl::StrAppend(&filled, filled.empty() ? "" : "\n",
                    absl::StrReplaceAll(line, indented));
  }
  return filled;
}

// A list in lines that can be read.
std::string List(const std::vector<std::string>& items,
                 absl::string_view separator) {
  constexpr std::size_t kWidth = 66;
  std::string list;
  std::size_t width = 0;
  for (const std::string& item : items) {
    if (!list.empty()) {
      const bool fits = width + item.size() <= kWidth;
      absl::StrAppend(&list, separator, fits ? " " : "\n  ");
      if (!fits) width = 0;
    }
    width += item.size() + separator.size() + 1;
    list += item;
  }
  return list;
}

// What `form` makes of each column of a kind: * is its name, # the number of
// its parameter, an array: they come after the user ids, which are $1.
std::string Each(Kind kind, absl::string_view form,
                 absl::string_view separator = ",") {
  std::vector<std::string> items;
  for (const users::Column& column : users::Columns(kind)) {
    items.push_back(absl::StrReplaceAll(
        form,
        {{"*", column.name}, {"#", absl::StrCat("$", items.size() + 2)}}));
  }
  return List(items, separator);
}

// The parameter that comes `n` after those arrays.
std::string After(Kind kind, std::size_t n) {
  return absl::StrCat("$", 1 + users::Columns(kind).size() + n);
}

// Every column, as `table` stores it.
std::string Stored(absl::string_view table) {
  std::vector<std::string> items;
  for (const users::Column& column : users::Columns()) {
    items.push_back(absl::StrCat(table, column.name));
  }
  return List(items, ",");
}

// Every column, as ReadProfile takes it. Times travel as double precision
// seconds, which hold microseconds exactly for centuries, print fast, and can
// be infinite; extract() would be numeric arithmetic.
std::string Profile(absl::string_view table) {
  std::vector<std::string> items;
  for (const users::Column& column : users::Columns()) {
    const std::string name = absl::StrCat(table, column.name);
    items.push_back(column.kind == Kind::kTime
                        ? absl::StrCat("date_part('epoch', ", name, ")")
                        : name);
  }
  return List(items, ",");
}

// Never 1, whatever somebody stored by hand: 1 is for a row that is created.
constexpr char kNextRevision[] = "greatest(u.revision, 1) + 1";

// The contacts, in the order in which they were given. A time that is further
// ahead of the database's clock than clocks differ is none. OFFSET keeps this a
// subquery: its expressions are evaluated once for each contact.
std::string Contacts() {
  return Fill(
      R"(SELECT r.user_id, {r.identity},
  r.is_active, {latest} AS latest,
  CASE WHEN to_timestamp(r.occurred_at)
    <= {latest}
    THEN to_timestamp(r.occurred_at) END AS occurred_at
FROM unnest($1::bigint[], {arrays}, {active}::boolean[],
  {times}::double precision[])
  AS r (user_id, {identity}, is_active, occurred_at)
OFFSET 0)",
      {{"latest", "statement_timestamp() + interval '5 minutes'"},
       {"r.identity", Each(Kind::kIdentity, "r.*")},
       {"identity", Each(Kind::kIdentity, "*")},
       {"arrays", Each(Kind::kIdentity, "#::text[]")},
       {"active", After(Kind::kIdentity, 1)},
       {"times", After(Kind::kIdentity, 2)}});
}

// What contacts are stored at, and how long those count that change nothing.
std::string Now() { return After(Kind::kIdentity, 3) + "::timestamptz"; }
std::string Interval() { return After(Kind::kIdentity, 4) + "::interval"; }

// The row of a contact's user. `=` would let PostgreSQL join by reading all of
// users in the order of an index, which is cheap for the small table that it
// plans for; this leaves it nothing but a look-up for each contact, in the
// order of the contacts.
constexpr char kOfContact[] = "u.user_id = ANY (ARRAY[c.user_id])";

// A stored time; NULL if it is in the future, and so a mistake.
std::string Credible(absl::string_view column) {
  return absl::StrReplaceAll("CASE WHEN u.* <= c.latest THEN u.* END",
                             {{"*", column}});
}

// Whether a contact is not older than the newest dated one.
constexpr char kIsNews[] =
    "(u.last_activity > c.occurred_at AND u.last_activity <= c.latest)"
    " IS NOT TRUE";

// Whether a contact changes what updated_at tells of; NULL or false if not.
// Each part is NULL where it says nothing.
std::string ChangesData() {
  return Fill(
      R"(({identity} OR
  c.is_active <> coalesce(u.is_active, true))
  AND {is_news})",
      {{"identity", Each(Kind::kIdentity, "c.* <> coalesce(u.*, '')", " OR")},
       {"is_news", kIsNews}});
}

// What a contact does to a known user. is_active was NULL in legacy tables.
std::string UpdateUsers() {
  return Fill(
      R"(UPDATE users AS u
SET {identity},
  is_active = CASE WHEN c.is_active IS NOT NULL
    AND {is_news}
    THEN c.is_active ELSE coalesce(u.is_active, true) END,
  updated_at = CASE WHEN {changes_data}
    THEN {now} AT TIME ZONE 'UTC' ELSE u.updated_at END,
  last_seen_at = greatest({last_seen_at},
    {now}),
  last_activity = CASE WHEN c.occurred_at IS NOT NULL
    AND {is_news}
    THEN c.occurred_at ELSE u.last_activity END,
  revision = {next_revision})",
      {{"identity",
        Each(Kind::kIdentity,
             absl::StrCat("* = CASE WHEN c.* IS NOT NULL\n    AND ", kIsNews,
                          "\n    THEN nullif(c.*, '') ELSE u.* END"))},
       {"is_news", kIsNews},
       {"changes_data", ChangesData()},
       {"now", Now()},
       {"last_seen_at", Credible("last_seen_at")},
       {"next_revision", kNextRevision}});
}

std::string GetProfilesSql() {
  return Fill(R"(SELECT {profile}
FROM users
WHERE user_id = ANY($1::bigint[]))",
              {{"profile", Profile("")}});
}

std::string UpdateUsersSql() {
  return Fill(R"({update_users}
FROM (
  {contacts}) AS c
WHERE {of_contact}
RETURNING {profile})",
              {{"update_users", UpdateUsers()},
               {"contacts", Contacts()},
               {"of_contact", kOfContact},
               {"profile", Profile("u.")}});
}

std::string UpdateChangedUsersSql() {
  return Fill(R"(WITH contacts AS MATERIALIZED (
  {contacts}),
unchanged AS MATERIALIZED (
  SELECT {u.stored}
  FROM contacts AS c JOIN users AS u ON {of_contact}
  WHERE u.revision > 1
    AND {last_seen_at}
      > {now} - {interval}
    AND (c.occurred_at IS NULL
      OR {last_activity}
      > c.occurred_at - {interval})
    AND ({changes_data}) IS NOT TRUE),
written AS (
  {update_users}
  FROM contacts AS c
  WHERE {of_contact}
    AND c.user_id NOT IN (SELECT user_id FROM unchanged)
  RETURNING {u.stored})
SELECT {profile}
FROM unchanged
UNION ALL
SELECT {profile}
FROM written)",
              {{"contacts", Contacts()},
               {"update_users", UpdateUsers()},
               {"of_contact", kOfContact},
               {"last_seen_at", Credible("last_seen_at")},
               {"last_activity", Credible("last_activity")},
               {"now", Now()},
               {"interval", Interval()},
               {"changes_data", ChangesData()},
               {"u.stored", Stored("u.")},
               {"profile", Profile("")}});
}

std::string InsertUsersSql() {
  return Fill(R"(INSERT INTO users AS u (user_id, {identity},
  is_active, onboarding_completed, created_at, last_seen_at, updated_at,
  last_activity, revision)
SELECT c.user_id, {texts},
  c.is_active, false,
  {now} AT TIME ZONE 'UTC', {now},
  {now} AT TIME ZONE 'UTC', c.occurred_at, 1
FROM (
  {contacts}) AS c
ON CONFLICT (user_id) DO NOTHING
RETURNING {profile})",
              {{"identity", Each(Kind::kIdentity, "*")},
               {"texts", Each(Kind::kIdentity, "nullif(c.*, '')")},
               {"now", Now()},
               {"contacts", Contacts()},
               {"profile", Profile("u.")}});
}

// All rows are locked, in the order of their keys, before one is written: that
// is why `written` counts `held`. It does not join it: PostgreSQL would read a
// whole index for that, by a plan that it made while the table was small.
std::string CompleteOnboardingSql() {
  return Fill(R"(WITH held AS MATERIALIZED (
  SELECT {stored}
  FROM users
  WHERE user_id = ANY($1::bigint[])
  ORDER BY user_id
  FOR UPDATE),
written AS (
  UPDATE users AS u
  SET onboarding_completed = true, {answers},
    updated_at = {now} AT TIME ZONE 'UTC',
    last_seen_at = greatest(u.last_seen_at, {now}),
    revision = {next_revision}
  FROM unnest($1::bigint[], {arrays})
    AS a (user_id, {columns})
  WHERE u.user_id = a.user_id
    AND u.user_id = ANY($1::bigint[])
    AND u.onboarding_completed IS NOT TRUE
    AND (SELECT count(*) FROM held) > 0
  RETURNING {u.stored})
SELECT {profile}, true
FROM written
UNION ALL
SELECT {profile}, false
FROM held
WHERE NOT EXISTS (SELECT FROM written WHERE written.user_id = held.user_id))",
              {{"stored", Stored("")},
               {"u.stored", Stored("u.")},
               {"answers", Each(Kind::kAnswer, "* = coalesce(a.*, u.*)")},
               {"arrays", Each(Kind::kAnswer, "#::text[]")},
               {"columns", Each(Kind::kAnswer, "*")},
               {"now", After(Kind::kAnswer, 1) + "::timestamptz"},
               {"next_revision", kNextRevision},
               {"profile", Profile("")}});
}

// For as long as the program runs.
const char* Keep(const std::string& sql) { return strdup(sql.c_str()); }

}  // namespace

const postgres::Statement kGetProfiles = {"get_profiles",
                                          Keep(GetProfilesSql())};
const postgres::Statement kUpdateUsers = {"update_users",
                                          Keep(UpdateUsersSql())};
const postgres::Statement kUpdateChangedUsers = {"update_changed_users",
                                                 Keep(UpdateChangedUsersSql())};
const postgres::Statement kInsertUsers = {"insert_users",
                                          Keep(InsertUsersSql())};
const postgres::Statement kCompleteOnboarding = {"complete_onboarding",
                                                 Keep(CompleteOnboardingSql())};

// A column of an expression is not in indkey; what the index depends on tells.
const postgres::Statement kNicknameIndexes = {"nickname_indexes",
                                              R"(SELECT relname
FROM pg_index AS i JOIN pg_class AS c ON oid = indexrelid
WHERE indrelid = 'users'::regclass AND indisunique
  AND (SELECT bool_and(attname = 'nickname') FROM pg_attribute AS a
    WHERE attrelid = indrelid
      AND (attnum = ANY ((indkey::smallint[])[0:indnkeyatts - 1])
        OR indexprs IS NOT NULL AND EXISTS (SELECT FROM pg_depend
          WHERE classid = 'pg_class'::regclass AND objid = indexrelid
            AND refobjid = attrelid AND refobjsubid = attnum))))"};

std::string AllStatements() {
  std::string text;
  for (const postgres::Statement* statement :
       {&kGetProfiles, &kUpdateUsers, &kUpdateChangedUsers, &kInsertUsers,
        &kCompleteOnboarding, &kNicknameIndexes}) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", "-- ", statement->name,
                    "\n", statement->sql, ";\n");
  }
  return text;
}

}  // namespace userprofile::store
