#include "server/schema/repair_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

using Kind = RepairAction::Kind;

constexpr int kBatchRows = 5000;
constexpr int kListed = 20;  // of groups of users, and of each group

// Says that a column is never NULL, so that SET NOT NULL need not look at the
// rows. The name is that of migration 012, which goes the same way.
constexpr char kDropNeverNull[] =
    "ALTER TABLE users DROP CONSTRAINT IF EXISTS userprofile_never_null";

// A text that lists the groups of users that share a value of `column`, by
// their ids: never by the value.
std::string SharedBy(absl::string_view column) {
  return absl::StrFormat(
      "SELECT CASE WHEN count(*) > 0 THEN count(*) || ' in all: users ' || "
      "string_agg(ids, '; users ' ORDER BY first) FILTER (WHERE rank <= %d) "
      "END FROM (SELECT min(user_id) AS first, rank() OVER (ORDER BY "
      "min(user_id)) AS rank, array_to_string((array_agg(user_id ORDER BY "
      "user_id))[1:%d], ', ') || CASE WHEN count(*) > %d THEN ' and ' || "
      "count(*) - %d || ' more' ELSE '' END AS ids FROM users WHERE %s IS NOT "
      "NULL GROUP BY %s HAVING count(*) > 1) AS shared",
      kListed, kListed, kListed, kListed, column, column);
}

class Planner {
 public:
  explicit Planner(const Report& report) : report_(report) {}

  std::vector<RepairStep> Run() {
    MendPersistence();
    AddColumns();
    for (const Column& column : UsersContract().columns) StopGenerating(column);
    for (const Column& column : UsersContract().columns) AlterColumn(column);
    for (const Column& column : UsersContract().columns) {
      AddFilledColumn(column);
      ForbidNull(column);
    }
    for (const Breach& breach : report_.breaches) {
      if (breach.fault == Fault::kPrimaryKeyMissing) AddPrimaryKey(breach);
    }
    for (const Breach& breach : report_.breaches) BuildIndex(breach);
    for (const Breach& breach : report_.breaches) {
      if (breach.fault == Fault::kRightsMissing) {
        steps_.push_back(
            {{breach.object}, {{Kind::kTransaction, breach.remedy}}});
      }
    }
    for (const Breach& breach : report_.breaches) {
      if (breach.fault == Fault::kForPerson) {
        steps_.push_back({{breach.object}, {}, false, breach.remedy});
      }
    }
    return std::move(steps_);
  }

 private:
  const Breach* Find(const Column& column, Fault fault) const {
    const auto breach = std::find_if(
        report_.breaches.begin(), report_.breaches.end(), [&](const Breach& b) {
          return b.column == &column && b.fault == fault;
        });
    return breach == report_.breaches.end() ? nullptr : &*breach;
  }

  // By its name in its schema: a search path could hold another one.
  std::string Qualified(absl::string_view index) const {
    return absl::StrCat(report_.schema, ".", index);
  }

  void MendPersistence() {
    for (const Breach& breach : report_.breaches) {
      if (breach.fault != Fault::kUnlogged) continue;
      steps_.push_back(
          {{breach.object}, {{Kind::kTransaction, breach.remedy}}, true});
    }
  }

  // Those that nothing has to be found out for. PostgreSQL takes a default into
  // account without touching a row.
  void AddColumns() {
    RepairStep step;
    std::vector<std::string> clauses;
    for (const Column& column : UsersContract().columns) {
      const Breach* breach = Find(column, Fault::kColumnMissing);
      if (breach == nullptr || IsFilledFromOthers(column)) continue;
      step.objects.push_back(breach->object);
      clauses.push_back(
          absl::StrCat("ADD COLUMN ", column.name, " ", column.type,
                       column.nullable ? "" : " NOT NULL",
                       column.default_value == nullptr
                           ? ""
                           : absl::StrCat(" DEFAULT ", DefaultOf(column))));
    }
    if (clauses.empty()) return;
    step.actions.push_back(
        {Kind::kTransaction,
         absl::StrCat("ALTER TABLE users ", absl::StrJoin(clauses, ", "))});
    steps_.push_back(std::move(step));
  }

  // Before any type: PostgreSQL does not change that of a column that another
  // one is generated from.
  void StopGenerating(const Column& column) {
    const Breach* breach = Find(column, Fault::kColumnGenerated);
    if (breach == nullptr || Find(column, Fault::kForPerson) != nullptr) return;
    steps_.push_back(
        {{breach->object}, {{Kind::kTransaction, breach->remedy}}});
  }

  // All of a column's other clauses that need no look at the rows, in the order
  // in which PostgreSQL accepts them.
  void AlterColumn(const Column& column) {
    // Its type comes first.
    if (Find(column, Fault::kForPerson) != nullptr) return;
    RepairStep step;
    std::vector<std::string> statements;
    const auto add = [&](Fault fault) {
      const Breach* breach = Find(column, fault);
      if (breach == nullptr) return false;
      step.objects = {breach->object};
      statements.push_back(breach->remedy);
      return true;
    };
    add(Fault::kColumnIdentity);
    if (column.nullable) add(Fault::kColumnNullability);
    if (column.default_value == nullptr) add(Fault::kColumnDefault);
    if (add(Fault::kColumnType)) {
      const absl::string_view found = Find(column, Fault::kColumnType)->found;
      step.rewrites_table = ChangeRewritesTable(column, found);
    }
    if (column.default_value != nullptr) add(Fault::kColumnDefault);
    if (statements.empty()) return;
    step.actions.push_back(
        {Kind::kTransaction, absl::StrJoin(statements, "; ")});
    steps_.push_back(std::move(step));
  }

  void AddFilledColumn(const Column& column) {
    const Breach* breach = Find(column, Fault::kColumnMissing);
    if (breach == nullptr || !IsFilledFromOthers(column)) return;
    steps_.push_back(
        {{breach->object}, {{Kind::kTransaction, breach->remedy}}, true});
  }

  // Without a look at every row while others wait: first no new NULL is
  // accepted, then those that are there are sought beside the traffic, and then
  // PostgreSQL knows that there is none.
  void ForbidNull(const Column& column) {
    const Breach* breach = Find(column, Fault::kColumnNullability);
    if (breach == nullptr || column.nullable ||
        Find(column, Fault::kForPerson) != nullptr) {
      return;
    }
    RepairStep step;
    step.objects = {breach->object};
    const char* value = MeaningOfNull(column);
    const std::string update =
        value == nullptr
            ? ""
            : absl::StrFormat("UPDATE users SET %1$s = %2$s WHERE %1$s IS NULL",
                              column.name, value);
    if (value == nullptr) {
      step.actions.push_back(
          {Kind::kRequireNone,
           absl::StrFormat("SELECT CASE WHEN count(*) > 0 THEN count(*) || ' "
                           "rows have no %1$s' END FROM users WHERE %1$s IS "
                           "NULL",
                           column.name),
           absl::StrFormat("find out whose they are, or delete them: SELECT * "
                           "FROM users WHERE %s IS NULL",
                           column.name)});
    } else {
      step.actions.push_back(
          {Kind::kBatches,
           absl::StrFormat("%s AND ctid = ANY (ARRAY(SELECT ctid FROM users "
                           "WHERE %s IS NULL LIMIT %d))",
                           update, column.name, kBatchRows),
           absl::StrFormat("SELECT count(*) FROM users WHERE %s IS NULL",
                           column.name)});
    }
    const auto add = [&](std::string sql) {
      step.actions.push_back(
          {Kind::kTransaction, std::move(sql), kDropNeverNull});
    };
    add(absl::StrCat(kDropNeverNull,
                     ", ADD CONSTRAINT userprofile_never_null CHECK (",
                     column.name, " IS NOT NULL) NOT VALID"));
    if (value != nullptr) add(update);  // those that came meanwhile
    add("ALTER TABLE users VALIDATE CONSTRAINT userprofile_never_null");
    add(absl::StrCat(breach->remedy, "; ", kDropNeverNull));
    steps_.push_back(std::move(step));
  }

  // Built beside the traffic, then made the key: under a name that is ours, for
  // PostgreSQL's own may still be that of an older table.
  void AddPrimaryKey(const Breach& breach) {
    const absl::string_view key = UsersContract().primary_key;
    constexpr char kName[] = "userprofile_users_pkey";
    const std::string name = Qualified(kName);
    const std::string drop =
        absl::StrCat("DROP INDEX CONCURRENTLY IF EXISTS ", name);
    steps_.push_back(
        {{breach.object},
         {{Kind::kRequireNone, SharedBy(key),
           absl::StrFormat(
               "users have more than one row; decide which one stays: SELECT "
               "%1$s, count(*) FROM users GROUP BY %1$s HAVING count(*) > 1",
               key)},
          {Kind::kRequireNone,
           absl::StrFormat(
               "SELECT 'the name %1$s is taken' FROM pg_class AS c JOIN "
               "pg_class AS u ON u.relnamespace = c.relnamespace LEFT JOIN "
               "pg_index AS i ON i.indexrelid = c.oid WHERE u.oid = "
               "'users'::regclass AND c.relname = '%1$s' AND (i.indrelid IS "
               "DISTINCT FROM u.oid OR EXISTS (SELECT FROM pg_constraint WHERE "
               "conindid = c.oid)) UNION ALL SELECT NULL LIMIT 1",
               kName),
           absl::StrCat("rename what has it: ALTER INDEX ", name,
                        " RENAME TO ...")},
          {Kind::kConcurrently, drop},
          {Kind::kConcurrently,
           absl::StrFormat("CREATE UNIQUE INDEX CONCURRENTLY %s ON users (%s)",
                           kName, key),
           drop},
          {Kind::kTransaction,
           absl::StrFormat("ALTER TABLE users ADD PRIMARY KEY USING INDEX %s",
                           kName),
           absl::StrCat("DROP INDEX IF EXISTS ", name)}}});
  }

  void BuildIndex(const Breach& breach) {
    if (breach.fault != Fault::kIndexMissing &&
        breach.fault != Fault::kIndexInvalid &&
        breach.fault != Fault::kIndexElse) {
      return;
    }
    const Index& index = *breach.index;
    RepairStep step;
    step.objects = {breach.object};
    if (index.unique) {
      step.actions.push_back(
          {Kind::kRequireNone, SharedBy(index.column),
           absl::StrFormat(
               "users share a %1$s (an empty one counts), which must be "
               "unique; clear all but one of each: SELECT %1$s, "
               "array_agg(user_id) FROM users WHERE %1$s IS NOT NULL GROUP BY "
               "%1$s HAVING count(*) > 1",
               index.column)});
    }
    const std::string drop = absl::StrCat("DROP INDEX CONCURRENTLY IF EXISTS ",
                                          Qualified(index.name));
    if (breach.fault == Fault::kIndexInvalid) {
      step.actions.push_back({Kind::kConcurrently, drop});
    } else if (breach.fault == Fault::kIndexElse) {
      step.actions.push_back(
          {Kind::kTransaction,
           absl::StrFormat(
               "DO $$ DECLARE name text := '%2$s_set_aside'; n integer := 1; "
               "BEGIN WHILE EXISTS (SELECT FROM pg_class AS c JOIN pg_class AS "
               "u ON u.relnamespace = c.relnamespace WHERE u.oid = "
               "'users'::regclass AND c.relname = name) LOOP n := n + 1; name "
               ":= '%2$s_set_aside_' || n; END LOOP; EXECUTE 'ALTER INDEX "
               "%1$s RENAME TO ' || name; END $$",
               absl::StrReplaceAll(Qualified(index.name), {{"'", "''"}}),
               index.name)});
    }
    step.actions.push_back(
        {Kind::kConcurrently,
         absl::StrFormat("CREATE %sINDEX CONCURRENTLY %s ON users (%s)",
                         index.unique ? "UNIQUE " : "", index.name,
                         index.column),
         drop});
    steps_.push_back(std::move(step));
  }

  const Report& report_;
  std::vector<RepairStep> steps_;
};

}  // namespace

std::vector<RepairStep> PlanRepair(const Report& report) {
  return Planner(report).Run();
}

}  // namespace userprofile::schema
