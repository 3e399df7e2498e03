#include "server/store/statements.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/limits.h"
#include "server/users/columns.h"
#include "server/users/token_key.h"

// The statements are templates. {part} stands for a part of that name; parts
// may have parts. {columns: form} is a list of columns, each as the form says,
// where * is its name, # its parameter and @ its type: those of `identity`, of
// `answers`, all, or all as ReadProfile takes them (`profile`; `answer` for the
// answer to a contact, which is to be small). {identity OR: form} is one with
// another separator than a comma. {identity+1} is the parameter after those of
// identity. What becomes of them is in statements.sql. A misspelt part ends the
// program, and so each test, as it starts.
namespace userprofile::store {
namespace {

using Parts = std::map<absl::string_view, absl::string_view>;

// For as long as the program runs.
absl::string_view Number(std::size_t number) {
  return *new std::string(absl::StrCat(number));
}

const Parts& NamedParts() {
  static const auto& parts = *new Parts{
      // An error in a session that postgres::Connect did not configure: behind
      // a pooler that shares sessions out, what a commit waits for would be
      // anybody's setting. Evaluated once for each statement.
      {"is_configured", "current_setting('userprofile.serving')::boolean"},

      // Never 1, whatever somebody stored by hand: 1 is for a row that is
      // created.
      {"next_revision", "greatest(u.revision, 1) + 1"},

      // It was NULL in legacy tables.
      {"is_onboarded", "coalesce(u.onboarding_completed, false)"},

      // A user's attributes with a patch, where null takes a key away. What
      // somebody stored that is no object counts as none.
      {"patched", R"(nullif((CASE WHEN NOT e.replaces
    AND jsonb_typeof(u.attributes) = 'object'
    THEN u.attributes ELSE {empty} END || e.patch)
  - ARRAY(SELECT key FROM jsonb_each(e.patch) WHERE value = 'null'), {empty}))"},
      {"empty", "jsonb_build_object()"},

      // A user's attributes with those that are imported and that they have
      // not, as far as all of them fit.
      {"with_given", R"(CASE
    WHEN g.attributes IS NULL THEN u.attributes
    WHEN jsonb_typeof(u.attributes) IS DISTINCT FROM 'object' THEN g.attributes
    WHEN octet_length((g.attributes || u.attributes)::text) > {max_bytes}
      OR (SELECT count(*) FROM jsonb_object_keys(g.attributes || u.attributes))
        > {max_attributes} THEN u.attributes
    ELSE g.attributes || u.attributes END)"},
      {"max_attributes", Number(base::kMaxAttributes)},
      {"max_bytes", Number(base::kMaxAttributesBytes)},

      // The contacts, in the order in which they were given. A time that is
      // further ahead of the database's clock than clocks differ is none.
      // OFFSET keeps this a subquery: its expressions are evaluated once for
      // each contact.
      {"latest", "statement_timestamp() + interval '5 minutes'"},
      {"contacts",
       R"(SELECT r.user_id, {identity: r.*},
  r.is_active, {latest} AS latest,
  CASE WHEN to_timestamp(r.occurred_at)
    <= {latest}
    THEN to_timestamp(r.occurred_at) END AS occurred_at, r.event_id
FROM unnest($1::bigint[], {identity: #::text[]}, {identity+1}::boolean[],
  {identity+2}::double precision[], {identity+3}::text[])
  AS r (user_id, {identity: *}, is_active, occurred_at, event_id)
WHERE {is_configured}
OFFSET 0)"},
      {"now", "{identity+4}::timestamptz"},
      {"interval", "{identity+5}::interval"},

      // The row of a contact's user. `=` would let PostgreSQL join by reading
      // all of users in the order of an index, which is cheap for the small
      // table that it plans for; this leaves it nothing but a look-up for each
      // contact, in the order of the contacts.
      {"of_contact", "u.user_id = ANY (ARRAY[c.user_id])"},

      // Whether a contact is the one that created its user, again; no more
      // once they are onboarded.
      {"is_repeated",
       "(u.created_by_event = c.event_id AND NOT {is_onboarded}) IS TRUE"},

      // Stored times; NULL if they are in the future, and so a mistake.
      {"last_seen_at",
       "CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END"},
      {"last_activity",
       "CASE WHEN u.last_activity <= c.latest THEN u.last_activity END"},

      // Whether a contact is not older than the newest dated one.
      {"is_news",
       "(u.last_activity > c.occurred_at AND u.last_activity <= c.latest)"
       " IS NOT TRUE"},

      // Whether it changes what updated_at tells of; NULL or false if not. Each
      // comparison is NULL where the contact says nothing.
      {"changes_data", R"(({identity OR: c.* <> coalesce(u.*, '')} OR
  c.is_active <> coalesce(u.is_active, true))
  AND {is_news})"},

      // How far a part of a scan goes; the end of the table is NULL. OFFSET
      // keeps this a subquery, which is carried out once.
      {"reach", R"((
  SELECT (SELECT r.user_id
    FROM :users AS r
    WHERE r.user_id > $1::bigint
    ORDER BY r.user_id
    OFFSET $2::bigint - 1
    LIMIT CASE WHEN $2::bigint IS NULL THEN 0 ELSE 1 END) AS user_id
  WHERE {is_configured}
  OFFSET 0) AS reach)"},
      {"in_reach", R"(u.user_id > $1::bigint
    AND u.user_id <= coalesce(reach.user_id, 9223372036854775807))"},

      // One form for all filters, so that there is one plan, which follows the
      // primary key from where the page before ended, whatever is asked for: no
      // other index has users in that order. Cheap conditions go first.
      {"filter", R"(($3::boolean IS NULL OR u.onboarding_completed = $3)
    AND ($4::boolean IS NULL OR u.is_active = $4)
    AND ($10::timestamp IS NULL OR u.created_at >= $10)
    AND ($11::timestamp IS NULL OR u.created_at < $11)
    AND ($12::timestamptz IS NULL OR u.last_seen_at >= $12)
    AND ($13::timestamptz IS NULL OR u.last_seen_at < $13)
    AND ($14::timestamptz IS NULL OR u.last_activity >= $14)
    AND ($15::timestamptz IS NULL OR u.last_activity < $15)
    AND ($5::text IS NULL OR u.study_track = $5)
    AND ($6::text IS NULL OR u.grade_band = $6)
    AND ($7::text IS NULL OR u.grade_year = $7)
    AND ($8::text IS NULL
      OR starts_with(lower(u.language_code COLLATE "C") || '-', $8))
    AND ($9::text IS NULL OR starts_with(u.nickname, $9))
    AND ($16::jsonb IS NULL OR NOT EXISTS (
      SELECT FROM jsonb_each($16) AS wanted
      WHERE nullif(u.attributes -> wanted.key, 'null')
        IS DISTINCT FROM nullif(wanted.value, 'null'))))"},

      // What a contact does to a known user. is_active was NULL in legacy
      // tables.
      {"update_users", R"(UPDATE :users AS u
SET {identity: * = CASE WHEN c.* IS NOT NULL
    AND {is_news}
    THEN nullif(c.*, '') ELSE u.* END},
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
  revision = {next_revision})"},

      // Tells of what was written, in the order of reading: see
      // server/schema/own_tables.h. The time is the database's, for it is
      // the database's that changes are kept by.
      {"changes", ":schema.userprofile_changes"},
      {"tell", R"(INSERT INTO {changes} (user_id, revision, kind, changed_at)
SELECT user_id, revision, 'w', statement_timestamp()
FROM written)"},

      // The same of contacts: those that changed data, and others if a setting
      // says so, see kRecordContacts.
      {"tell_contacts",
       R"(INSERT INTO {changes} (user_id, revision, kind, changed_at)
SELECT user_id, revision, CASE WHEN {was_changed} THEN 'w' ELSE 'c' END,
  statement_timestamp()
FROM written
WHERE {was_changed}
  OR current_setting('userprofile.record_contacts', true) = 'on')"},

      // Whether a contact that was written changed data: then updated_at is
      // now, unless a trigger of others set it. Where there is one, all are
      // told.
      {"was_changed", R"((updated_at = {now} AT TIME ZONE 'UTC'
  OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = :'users'::regclass
    AND NOT tgisinternal AND tgtype & 19 = 19 AND tgenabled IN ('O', 'A'))))"},

      // A row of the table of changes, as a ChangePlace. The cluster is told by
      // a setting: see ChangesSettings.
      {"place", R"(concat_ws('.', current_setting('userprofile.cluster'),
  tableoid, xid, user_id, revision,
  (date_part('epoch', changed_at) * 1000000)::bigint))"},

      {"sessions", ":schema.userprofile_sessions"},

      // Equality, so that it is looked up by the primary key, by both columns,
      // whatever the size of the table that the plan was made for.
      {"of_session",
       "s.bot = ANY (ARRAY[g.bot]) AND s.key >= g.key AND s.key <= g.key"},
      {"is_expired", "s.expires_at <= statement_timestamp()"},

      // The least that a revision is, and so greater than those before under
      // the same key, of which no row may be left.
      {"revision_now",
       "(date_part('epoch', $7::timestamptz) * 1000000)::bigint"},

      // Whether no transaction is under way any more that could commit a change
      // before this one; and whether the change is of this cluster at all.
      {"is_settled", "xid < pg_snapshot_xmin(pg_current_snapshot())"},
      {"is_ours", "xid < pg_snapshot_xmax(pg_current_snapshot())"},
  };
  return parts;
}

std::vector<users::Column> ColumnsOf(absl::string_view which) {
  if (which == "identity") return users::Columns(users::Kind::kIdentity);
  if (which == "answers") return users::Columns(users::Kind::kAnswer);
  return {users::Columns().begin(), users::Columns().end()};
}

// A list in lines that can be read.
std::string List(absl::string_view which, const std::string& form,
                 absl::string_view separator) {
  constexpr std::size_t kWidth = 66;
  std::string list;
  std::size_t width = 0;
  int parameter = 1;  // the key
  for (const users::Column& column : ColumnsOf(which)) {
    std::string item =
        absl::StrReplaceAll(form, {{"*", column.name},
                                   {"#", absl::StrCat("$", ++parameter)},
                                   {"@", column.type}});
    // Times travel as double precision seconds, which hold microseconds exactly
    // for centuries, print fast, and can be infinite; extract() would be
    // numeric arithmetic.
    const bool is_read = which == "profile" || which == "answer";
    if (is_read && column.kind == users::Kind::kTime) {
      item = absl::StrCat("date_part('epoch', ", item, ")");
    } else if (which == "answer" && column.kind == users::Kind::kObject) {
      // What is left out is no object.
      item = absl::StrCat("CASE WHEN octet_length(", item, "::text) > ",
                          base::kMaxAnsweredAttributesBytes,
                          " THEN 'null' ELSE ", item, " END");
    }
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

std::string Expand(absl::string_view sql);

// What stands for a part, without its braces.
std::string Part(absl::string_view part) {
  const std::pair<absl::string_view, absl::string_view> list =
      absl::StrSplit(part, absl::MaxSplits(": ", 1));
  if (!list.second.empty()) {
    const std::pair<absl::string_view, absl::string_view> which =
        absl::StrSplit(list.first, ' ');
    return List(which.first, Expand(list.second),
                which.second.empty() ? "," : absl::StrCat(" ", which.second));
  }
  const std::pair<absl::string_view, absl::string_view> parameter =
      absl::StrSplit(part, '+');
  if (!parameter.second.empty()) {
    const std::size_t after = parameter.second.front() - '0';
    return absl::StrCat("$", 1 + ColumnsOf(parameter.first).size() + after);
  }
  return Expand(NamedParts().at(part));
}

// The lines of a part are indented as the one that names it.
std::string Expand(absl::string_view sql) {
  std::string text;
  for (std::size_t open = sql.find('{'); open != absl::string_view::npos;
       open = sql.find('{')) {
    absl::StrAppend(&text, sql.substr(0, open));
    std::size_t close = open + 1;
    for (int depth = 1; depth > 0; ++close) {
      depth += sql[close] == '{' ? 1 : sql[close] == '}' ? -1 : 0;
    }
    const std::size_t line = text.rfind('\n') + 1;
    const std::size_t indent =
        std::min(text.find_first_not_of(' ', line), text.size()) - line;
    absl::StrAppend(
        &text, absl::StrReplaceAll(Part(sql.substr(open + 1, close - open - 2)),
                                   {{"\n", "\n" + std::string(indent, ' ')}}));
    sql.remove_prefix(close);
  }
  return absl::StrCat(text, sql);
}

// All that were built, in that order.
std::vector<postgres::Statement>& Built() {
  static auto& built = *new std::vector<postgres::Statement>;
  return built;
}

// A statement, for as long as the program runs.
postgres::Statement Build(const char* name, absl::string_view sql) {
  return Built().emplace_back(postgres::Statement{
      name, strdup(Expand(absl::StripLeadingAsciiWhitespace(sql)).c_str())});
}

}  // namespace

const postgres::Statement kGetProfiles = Build("get_profiles", R"(
SELECT {profile: *}
FROM :users
WHERE user_id = ANY($1::bigint[])
  AND {is_configured})");

// The subquery is a look-up for each value: `=` alone could be joined by
// reading the whole index.
const auto kFinds = [] {
  std::map<std::string, postgres::Statement, std::less<>> finds;
  for (const users::Column& column : users::Columns()) {
    if (column.lookup == users::Lookup::kNone) continue;
    const std::string own = absl::StrCat("u.", column.name);
    finds[column.name] =
        Build(strdup(absl::StrCat("find_by_", column.name).c_str()),
              absl::StrCat(R"(
SELECT {profile: u.*}, r.place
FROM unnest($1::text[]) WITH ORDINALITY AS r (value, place), LATERAL (
  SELECT {all: u.*}
  FROM :users AS u
  WHERE )",
                           users::LookupKey(column, own), " = ",
                           users::LookupKey(column, "r.value"), R"(
  ORDER BY u.last_seen_at DESC NULLS LAST, u.user_id
  LIMIT $2::integer) AS u
WHERE {is_configured}
ORDER BY r.place, u.last_seen_at DESC NULLS LAST, u.user_id)"));
  }
  return finds;
}();

const postgres::Statement& FindBy(absl::string_view column) {
  return kFinds.find(column)->second;
}

const postgres::Statement kUpdateUsers = Build("update_users", R"(
WITH written AS (
  {update_users}
  FROM (
    {contacts}) AS c
  WHERE {of_contact}
    AND NOT {is_repeated}
  RETURNING {all: u.*}),
told AS (
  {tell_contacts})
SELECT {answer: *}
FROM written)");

const postgres::Statement kUpdateChangedUsers =
    Build("update_changed_users", R"(
WITH contacts AS MATERIALIZED (
  {contacts}),
unchanged AS MATERIALIZED (
  SELECT {all: u.*}
  FROM contacts AS c JOIN :users AS u ON {of_contact}
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
    AND NOT {is_repeated}
    AND c.user_id NOT IN (SELECT user_id FROM unchanged)
  RETURNING {all: u.*}),
told AS (
  {tell_contacts})
SELECT {answer: *}
FROM unchanged
UNION ALL
SELECT {answer: *}
FROM written)");

const postgres::Statement kInsertUsers = Build("insert_users", R"(
WITH contacts AS MATERIALIZED (
  {contacts}),
written AS (
  INSERT INTO :users AS u (user_id, {identity: *},
    is_active, onboarding_completed, created_at, last_seen_at, updated_at,
    last_activity, revision, created_by_event)
  SELECT c.user_id, {identity: nullif(c.*, '')},
    c.is_active, false,
    {now} AT TIME ZONE 'UTC', {now},
    {now} AT TIME ZONE 'UTC', c.occurred_at, 1, c.event_id
  FROM contacts AS c
  ON CONFLICT (user_id) DO NOTHING
  RETURNING {all: u.*}),
told AS (
  {tell})
SELECT {answer: *}
FROM written
UNION ALL
SELECT {answer: u.*}
FROM contacts AS c JOIN :users AS u ON {of_contact}
WHERE c.event_id IS NOT NULL
  AND {is_repeated})");

// All rows are locked, in the order of their keys, before one is written, and
// what is to become of them is decided from what is seen then. They are found
// as those of contacts are (of_contact).
const postgres::Statement kEditUsers = Build("edit_users", R"(
WITH held AS MATERIALIZED (
  SELECT {all: *}
  FROM :users
  WHERE user_id = ANY($1::bigint[])
    AND {is_configured}
  ORDER BY user_id
  FOR UPDATE),
edits AS MATERIALIZED (
  SELECT e.user_id, {answers: e.*}, e.onboarding_completed, m.attributes,
    CASE WHEN e.expected_revision <> u.revision THEN 'revision'
      WHEN e.onboarding_completed AND {is_onboarded} THEN 'onboarded'
      WHEN octet_length(m.attributes::text)
          > coalesce(octet_length(u.attributes::text), 0)
        AND (octet_length(m.attributes::text) > {max_bytes} OR
          (SELECT count(*) FROM jsonb_object_keys(m.attributes)) > {max_attributes})
        THEN 'too large'
      WHEN {answers OR: e.* <> coalesce(u.*, '')} OR
        e.onboarding_completed <> {is_onboarded} OR
        m.attributes IS DISTINCT FROM u.attributes
        THEN 'change' ELSE 'same' END AS verdict
  FROM held AS u
  JOIN unnest($1::bigint[], {answers: #::text[]}, {answers+1}::boolean[],
    {answers+2}::bigint[], {answers+3}::jsonb[], {answers+4}::boolean[])
    AS e (user_id, {answers: *}, onboarding_completed, expected_revision, patch,
      replaces) ON e.user_id = u.user_id
  CROSS JOIN LATERAL (
    SELECT CASE WHEN e.patch IS NULL THEN u.attributes
      ELSE {patched} END AS attributes
    OFFSET 0) AS m),
written AS (
  UPDATE :users AS u
  SET {answers: * = CASE WHEN e.* IS NULL THEN u.* ELSE nullif(e.*, '') END},
    onboarding_completed = coalesce(e.onboarding_completed, {is_onboarded}),
    attributes = e.attributes,
    updated_at = {answers+5}::timestamptz AT TIME ZONE 'UTC',
    last_seen_at = CASE WHEN e.onboarding_completed
      THEN greatest(u.last_seen_at, {answers+5}::timestamptz)
      ELSE u.last_seen_at END,
    revision = {next_revision}
  FROM edits AS e
  WHERE u.user_id = ANY (ARRAY[e.user_id])
    AND e.verdict = 'change'
  RETURNING {all: u.*}),
told AS (
  {tell})
SELECT {profile: *}, 'written'
FROM written
UNION ALL
SELECT {profile: u.*}, e.verdict
FROM held AS u JOIN edits AS e ON e.user_id = u.user_id
WHERE NOT EXISTS (SELECT FROM written WHERE written.user_id = u.user_id))");

// What tells a user from the one who is created anew under the same id.
const postgres::Statement kReadLives = Build("read_lives", R"(
SELECT user_id, created_at::text
FROM :users
WHERE user_id = ANY($1::bigint[])
  AND {is_configured})");

const postgres::Statement kDeleteUsers = Build("delete_users", R"(
WITH held AS MATERIALIZED (
  SELECT user_id, created_at, revision
  FROM :users
  WHERE user_id = ANY($1::bigint[])
    AND {is_configured}
  ORDER BY user_id
  FOR UPDATE),
deleted AS (
  DELETE FROM :users AS u
  USING unnest($1::bigint[], $2::timestamp[], $3::bigint[])
    AS d (user_id, created_at, expected_revision)
  WHERE u.user_id = ANY (ARRAY[d.user_id])
    AND u.created_at = d.created_at
    AND (d.expected_revision <> u.revision) IS NOT TRUE
    AND (SELECT count(*) FROM held) > 0
  RETURNING u.user_id, u.revision),
told AS (
  INSERT INTO {changes} (user_id, revision, kind, changed_at)
  SELECT user_id, revision + 1, 'd', statement_timestamp()
  FROM deleted),
forgotten AS MATERIALIZED (
  SELECT g.bot, g.key
  FROM (
    SELECT t.user_id, t.bot, t.key
    FROM deleted AS d, LATERAL (
      SELECT s.user_id, s.bot, s.key
      FROM {sessions} AS s
      WHERE s.user_id = d.user_id
      OFFSET 0) AS t
    ORDER BY t.bot COLLATE "C", t.key COLLATE "C"
    OFFSET 0) AS g, LATERAL (
    SELECT
    FROM {sessions} AS s
    WHERE s.bot = g.bot AND s.key = g.key
      AND s.user_id IS NOT DISTINCT FROM g.user_id
    LIMIT 1
    FOR UPDATE) AS s),
forgot AS (
  DELETE FROM {sessions} AS s
  USING forgotten AS g
  WHERE {of_session})
SELECT held.user_id, held.revision,
  held.user_id IN (SELECT user_id FROM deleted)
FROM held JOIN unnest($1::bigint[], $2::timestamp[]) AS d (user_id, created_at)
  ON held.user_id = d.user_id AND held.created_at = d.created_at)");

const postgres::Statement kMayDelete = Build("may_delete", R"(
SELECT has_table_privilege(:'users'::regclass, 'DELETE'))");

// What is told of comes from transactions that are over and before which none
// is under way: of later ones some may come yet. So the order of the
// transactions is that of reading, and nobody passes by what is committed late.
const postgres::Statement kReadChanges = Build("read_changes", R"(
WITH page AS MATERIALIZED (
  SELECT xid, user_id, revision, kind, {place} AS place,
    kind = 'b' OR (kind = 'c' AND NOT $20::boolean)
      OR EXISTS (SELECT FROM {changes} AS d
        WHERE d.kind = 'd' AND d.user_id = p.user_id AND d.xid > p.xid
          AND d.{is_ours}) AS is_untold
  FROM {changes} AS p
  WHERE (xid, user_id, revision) > ($1::xid8, $2::bigint, $17::bigint)
    AND {is_settled}
  ORDER BY xid, user_id, revision
  LIMIT $19::integer)
SELECT {profile: u.*}, page.user_id, page.place, page.kind = 'd',
  page.is_untold, ({filter}) IS TRUE
FROM (
  SELECT FROM {changes}
  WHERE xid = $1::xid8 AND user_id = $2::bigint AND revision = $17::bigint
    AND {place} = $18
    AND {is_settled}
    AND {is_configured}) AS place
  LEFT JOIN page ON true
  LEFT JOIN :users AS u ON u.user_id = ANY (ARRAY[page.user_id])
    AND NOT page.is_untold
ORDER BY page.xid, page.user_id, page.revision)");

const postgres::Statement kFindNewestChange = Build("find_newest_change", R"(
SELECT (
  SELECT {place}
  FROM {changes}
  WHERE {is_settled}
  ORDER BY xid DESC, user_id DESC, revision DESC
  LIMIT 1), coalesce((
  SELECT date_part('epoch', statement_timestamp() - changed_at)
  FROM {changes}
  WHERE NOT {is_settled} AND {is_ours}
  ORDER BY xid, user_id, revision
  LIMIT 1), 0)
WHERE {is_configured})");

const postgres::Statement kFindSurplus = Build("find_surplus_changes", R"(
SELECT xid, user_id, revision
FROM {changes}
WHERE (xid, user_id, revision) <= ($1::xid8, $2::bigint, $3::bigint)
  AND {is_settled}
ORDER BY xid DESC, user_id DESC, revision DESC
OFFSET $4::bigint
LIMIT 1)");

// What nobody goes on from any more: since a change was followed by another one
// it has been no longer where those are who have heard all, and the newest is
// where they are. A range of the primary key, so two servers that trim lock in
// the same order.
const postgres::Statement kTrimChanges = Build("trim_changes", R"(
WITH oldest AS MATERIALIZED (
  SELECT xid, user_id, revision,
    lead(changed_at) OVER (ORDER BY xid, user_id, revision) AS followed_at
  FROM {changes}
  WHERE (xid, user_id, revision) > ($5::xid8, $6::bigint, $7::bigint)
    AND {is_settled}
  ORDER BY xid, user_id, revision
  LIMIT $8::integer),
last AS MATERIALIZED (
  SELECT xid, user_id, revision, place
  FROM (
    SELECT xid, user_id, revision, row_number() OVER oldest_first AS place,
      bool_and(followed_at IS NOT NULL
        AND (followed_at < statement_timestamp() - $1::interval
          OR ((xid, user_id, revision) <= ($2::xid8, $3::bigint, $4::bigint))
            IS TRUE)) OVER oldest_first AS is_old
    FROM oldest
    WINDOW oldest_first AS (ORDER BY xid, user_id, revision)) AS o
  WHERE is_old
  ORDER BY place DESC
  LIMIT 1),
trimmed AS (
  DELETE FROM {changes}
  WHERE (xid, user_id, revision) > ($5::xid8, $6::bigint, $7::bigint)
    AND (xid, user_id, revision) <= (SELECT xid, user_id, revision FROM last))
SELECT xid, user_id, revision
FROM last
WHERE place = $8::integer)");

const postgres::Statement kDiscardChanges = Build("discard_changes", R"(
WITH discarded AS (
  DELETE FROM {changes}
  WHERE NOT {is_ours}
    AND (xid, user_id, revision) <= (
      SELECT xid, user_id, revision
      FROM (
        SELECT xid, user_id, revision
        FROM {changes}
        WHERE NOT {is_ours}
        ORDER BY xid, user_id, revision
        LIMIT $1::integer) AS o
      ORDER BY xid DESC, user_id DESC, revision DESC
      LIMIT 1)
  RETURNING xid),
begun AS (
  INSERT INTO {changes} (user_id, revision, kind, changed_at)
  SELECT 0, 0, 'b', statement_timestamp()
  WHERE NOT EXISTS (SELECT FROM {changes} WHERE {is_ours}))
SELECT count(*)
FROM discarded)");

// Of those that are to be imported, who has a nickname already, and who would
// have another user's.
const postgres::Statement kFindTakenNicknames =
    Build("find_taken_nicknames", R"(
SELECT g.user_id, EXISTS (SELECT FROM :users AS u
    WHERE u.user_id = ANY (ARRAY[g.user_id]) AND u.nickname <> '') AS has_one
FROM unnest($1::bigint[], $2::text[]) AS g (user_id, nickname)
WHERE g.nickname <> ''
  AND {is_configured}
  AND (EXISTS (SELECT FROM :users AS u
      WHERE u.nickname = g.nickname AND u.user_id <> g.user_id)
    OR EXISTS (SELECT FROM :users AS u
      WHERE u.user_id = ANY (ARRAY[g.user_id]) AND u.nickname <> '')))");

// Who is there is locked before what is missing is filled in, as far as
// anything is. Everybody is found as those of contacts are.
const postgres::Statement kImportUsers = Build("import_users", R"(
WITH given AS MATERIALIZED (
  SELECT *
  FROM unnest({all: #::@[]}) AS g ({all: *})
  WHERE {is_configured}),
held AS MATERIALIZED (
  SELECT {all: g.*}
  FROM given AS g JOIN :users AS u ON u.user_id = ANY (ARRAY[g.user_id])
  WHERE ({identity OR: coalesce(u.*, '') = '' AND g.* <> ''})
    OR ({answers OR: coalesce(u.*, '') = '' AND g.* <> ''})
    OR (g.onboarding_completed AND NOT {is_onboarded})
    OR least(u.created_at, g.created_at) IS DISTINCT FROM u.created_at
    OR greatest(u.last_seen_at, g.last_seen_at)
      IS DISTINCT FROM u.last_seen_at
    OR greatest(u.last_activity, g.last_activity)
      IS DISTINCT FROM u.last_activity
    OR {with_given} IS DISTINCT FROM u.attributes
  ORDER BY u.user_id
  FOR UPDATE OF u),
strangers AS MATERIALIZED (
  SELECT g.*
  FROM given AS g
  WHERE NOT EXISTS (SELECT FROM :users AS u
    WHERE u.user_id = ANY (ARRAY[g.user_id]))),
inserted AS (
  INSERT INTO :users AS u ({all: *})
  SELECT {all: g.*}
  FROM strangers AS g
  WHERE (SELECT count(*) FROM held) >= 0
  ORDER BY g.user_id
  ON CONFLICT (user_id) DO NOTHING
  RETURNING u.user_id, u.revision),
changed AS (
  UPDATE :users AS u
  SET {identity: * = coalesce(nullif(u.*, ''), g.*)},
    {answers: * = coalesce(nullif(u.*, ''), g.*)},
    onboarding_completed = {is_onboarded} OR g.onboarding_completed,
    created_at = least(u.created_at, g.created_at),
    last_seen_at = greatest(u.last_seen_at, g.last_seen_at),
    last_activity = greatest(u.last_activity, g.last_activity),
    attributes = {with_given},
    updated_at = $1::timestamptz AT TIME ZONE 'UTC',
    revision = {next_revision}
  FROM held AS g
  WHERE u.user_id = ANY (ARRAY[g.user_id])
  RETURNING u.user_id, u.revision),
written AS (
  SELECT user_id, revision FROM inserted
  UNION ALL
  SELECT user_id, revision FROM changed),
told AS (
  {tell})
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM changed),
  (SELECT count(*) FROM strangers),
  (SELECT coalesce(string_agg(u.user_id::text, ','), '')
    FROM given AS g JOIN :users AS u ON u.user_id = ANY (ARRAY[g.user_id])
    WHERE g.attributes IS NOT NULL
      AND {with_given} = u.attributes
      AND NOT u.attributes ?& ARRAY(SELECT jsonb_object_keys(g.attributes))))");

// The subquery is a look-up for each session, by the primary key, in the order
// of the arrays: what is joined could be read as a whole.
const postgres::Statement kGetSessions = Build("get_sessions", R"(
SELECT g.bot, g.key, encode(s.value, 'hex'), s.revision,
  date_part('epoch', s.updated_at), date_part('epoch', s.expires_at), s.user_id
FROM unnest($1::text[], $2::text[]) AS g (bot, key), LATERAL (
  SELECT value, revision, updated_at, expires_at, user_id
  FROM {sessions} AS s
  WHERE s.bot = g.bot AND s.key = g.key
    AND ({is_expired}) IS NOT TRUE
  LIMIT 1) AS s
WHERE {is_configured})");

const postgres::Statement kWriteSessions = Build("write_sessions", R"(
WITH held AS MATERIALIZED (
  SELECT g.bot, g.key, g.value, g.expires_at, g.user_id, s.updated_at, s.stored,
    greatest(s.revision + 1, {revision_now}) AS revision,
    CASE WHEN g.value IS NULL AND s.stored = 0 THEN 'missing'
      WHEN g.expected_revision <> s.stored THEN 'revision'
      WHEN g.value IS NULL THEN 'delete' ELSE 'write' END AS verdict
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
    $5::bigint[], $6::bigint[])
    AS g (bot, key, value, expires_at, user_id, expected_revision), LATERAL (
    SELECT s.updated_at, s.revision,
      CASE WHEN {is_expired} THEN 0 ELSE s.revision END AS stored
    FROM {sessions} AS s
    WHERE s.bot = g.bot AND s.key = g.key
    LIMIT 1
    FOR UPDATE) AS s
  WHERE {is_configured}),
written AS (
  UPDATE {sessions} AS s
  SET value = decode(g.value, 'hex'), revision = g.revision,
    updated_at = $7::timestamptz, expires_at = g.expires_at,
    user_id = g.user_id
  FROM held AS g
  WHERE {of_session}
    AND g.verdict = 'write'
  RETURNING s.bot, s.key),
deleted AS (
  DELETE FROM {sessions} AS s
  USING held AS g
  WHERE {of_session}
    AND g.verdict = 'delete'
  RETURNING s.bot, s.key),
done AS (
  SELECT bot, key FROM written UNION ALL SELECT bot, key FROM deleted)
SELECT bot, key, verdict, stored, revision, date_part('epoch', updated_at),
  (bot, key) IN (SELECT bot, key FROM done)
FROM held)");

const postgres::Statement kInsertSessions = Build("insert_sessions", R"(
INSERT INTO {sessions} AS s (bot, key, value, revision, updated_at, expires_at,
  user_id)
SELECT g.bot, g.key, decode(g.value, 'hex'), {revision_now}, $7::timestamptz,
  g.expires_at, g.user_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
  $5::bigint[], $6::bigint[])
  AS g (bot, key, value, expires_at, user_id, expected_revision)
WHERE {is_configured}
ON CONFLICT (bot, key) DO NOTHING
RETURNING s.bot, s.key, s.revision)");

const postgres::Statement kTrimSessions = Build("trim_sessions", R"(
WITH expired AS MATERIALIZED (
  SELECT s.bot, s.key
  FROM {sessions} AS s
  WHERE {is_expired}
  ORDER BY s.expires_at
  LIMIT $1::integer
  FOR UPDATE SKIP LOCKED)
DELETE FROM {sessions} AS s
USING expired AS g
WHERE {of_session})");

// A column of an expression is not in indkey; what the index depends on tells.
const postgres::Statement kNicknameIndexes = Build("nickname_indexes", R"(
SELECT relname
FROM pg_index AS i JOIN pg_class AS c ON oid = indexrelid
WHERE indrelid = :'users'::regclass AND indisunique
  AND (SELECT bool_and(attname = 'nickname') FROM pg_attribute AS a
    WHERE attrelid = indrelid
      AND (attnum = ANY ((indkey::smallint[])[0:indnkeyatts - 1])
        OR indexprs IS NOT NULL AND EXISTS (SELECT FROM pg_depend
          WHERE classid = 'pg_class'::regclass AND objid = indexrelid
            AND refobjid = attrelid AND refobjsubid = attnum))))");

// In the order of the subquery, for there is one row of reach to join; to sort
// them again costs as much as all else. The store checks it.
const postgres::Statement kListProfiles = Build("list_profiles", R"(
SELECT {profile: u.*}, reach.user_id
FROM {reach} LEFT JOIN LATERAL (
  SELECT {all: u.*}
  FROM :users AS u
  WHERE {in_reach}
    AND {filter}
  ORDER BY u.user_id
  LIMIT $17::bigint) AS u ON true)");

const postgres::Statement kCountProfiles = Build("count_profiles", R"(
SELECT (SELECT count(*)
  FROM :users AS u
  WHERE {in_reach}
    AND {filter}), reach.user_id
FROM {reach})");

const postgres::Statement kFindTokenKey =
    Build("find_token_key", users::kFindTokenKey);

const postgres::Statement kReadTokenKey =
    Build("read_token_key", users::kReadTokenKey);

std::string AllStatements() {
  std::string text;
  for (const postgres::Statement& statement : Built()) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", "-- ", statement.name,
                    "\n", statement.sql, ";\n");
  }
  return text;
}

}  // namespace userprofile::store
