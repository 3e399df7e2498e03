#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/postgres/table_names.h"
#include "server/schema/own_tables.h"
#include "server/schema/remedies.h"
#include "server/schema/repair.h"

namespace userprofile::schema {
namespace {

using Kind = RepairAction::Kind;

constexpr int kListed = 20;  // of groups of users, and of each group

// The locks on users, by PostgreSQL's names.
constexpr char kNobody[] = "";
constexpr char kRowExclusive[] = "ROW EXCLUSIVE";
constexpr char kShareUpdateExclusive[] = "SHARE UPDATE EXCLUSIVE";
constexpr char kAccessExclusive[] = "ACCESS EXCLUSIVE";

RepairAction Check(std::string sql, std::string advice) {
  return {Kind::kCheck, std::move(sql), "ACCESS SHARE", std::move(advice)};
}

RepairAction Transaction(std::string sql, const char* lock = kAccessExclusive,
                         std::string clear_away = "") {
  return {Kind::kTransaction,   std::move(sql), lock, {}, {},
          std::move(clear_away)};
}

RepairAction Concurrently(std::string sql, std::string clear_away = "") {
  return {Kind::kConcurrently,  std::move(sql), kShareUpdateExclusive, {}, {},
          std::move(clear_away)};
}

// Says `set` for those of whom `condition` holds. Locked by ascending user_id,
// as the service does, so that nobody deadlocks.
RepairAction Batches(absl::string_view set, absl::string_view condition) {
  RepairAction action = {
      Kind::kBatches,
      absl::StrCat(
          "WITH lacking AS (SELECT user_id FROM :users WHERE user_id > "
          "$1::bigint AND user_id <= $2::bigint AND (",
          condition, ") ORDER BY user_id FOR NO KEY UPDATE) UPDATE :users SET ",
          set, " FROM lacking WHERE users.user_id = lacking.user_id"),
      kRowExclusive};
  action.needed =
      absl::StrCat("SELECT EXISTS (SELECT FROM :users WHERE ", condition, ")");
  return action;
}

// Says that columns are never NULL, so that SET NOT NULL need not look at the
// rows.
constexpr char kDropNeverNull[] =
    "ALTER TABLE :users DROP CONSTRAINT IF EXISTS userprofile_never_null";

// A check that lists the groups of users that share a value of `column`, by
// their ids: never by the value.
RepairAction RequireNoneShared(absl::string_view column, absl::string_view what,
                               std::string advice) {
  return Check(
      absl::StrFormat(
          "SELECT CASE WHEN count(*) > 0 THEN count(*) || ' %1$s: users ' || "
          "string_agg(ids, '; users ' ORDER BY first) FILTER (WHERE rank <= "
          "%2$d) END FROM (SELECT min(user_id) AS first, rank() OVER (ORDER BY "
          "min(user_id)) AS rank, array_to_string((array_agg("
          "DISTINCT user_id ORDER BY user_id))[1:%2$d], ', ') || CASE WHEN "
          "count(DISTINCT user_id) > %2$d THEN ' and ' || count(DISTINCT "
          "user_id) - %2$d || ' more' ELSE '' END AS ids FROM :users WHERE "
          "%3$s "
          "IS NOT NULL GROUP BY %3$s HAVING count(*) > 1) AS shared",
          what, kListed, column),
      std::move(advice));
}

class Planner {
 public:
  explicit Planner(const Report& report) : report_(report) {}

  std::vector<RepairStep> Run() {
    const Contract& contract = UsersContract();
    LeaveRoomForUpdates();
    for (const Breach& breach : report_.breaches) {
      if (breach.fault != Fault::kUnlogged) continue;
      Add({{breach.object}, {Transaction(breach.remedy)}, true});
    }
    AddColumns();
    for (const Column& column : contract.columns) StopGenerating(column);
    for (const Column& column : contract.columns) AlterColumn(column);
    for (const Column& column : contract.columns) RenameType(column);
    for (const Column& column : contract.columns) {
      if (IsFilled(column)) {
        Add({{Find(column, Fault::kColumnMissing)->object},
             {Transaction(AddColumn(column))},
             true});
      }
    }
    for (const Column& column : contract.columns) {
      if (MeaningOfNull(column) == nullptr) ForbidNull({&column});
    }
    for (const Breach& breach : report_.breaches) {
      if (breach.fault == Fault::kPrimaryKeyMissing) AddPrimaryKey(breach);
    }
    std::vector<const Column*> filled;
    for (const Column& column : contract.columns) {
      if (MeaningOfNull(column) != nullptr) filled.push_back(&column);
    }
    ForbidNull(filled);
    if (!forbids_null_) {
      // A run that was killed may have left it.
      AddIfNeeded({{"userprofile_never_null"}, {Transaction(kDropNeverNull)}},
                  "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = "
                  ":'users'::regclass AND conname = 'userprofile_never_null')");
    }
    RaiseRevisions();
    for (const Breach& breach : report_.breaches) BuildIndex(breach);
    for (const Breach& breach : report_.breaches) {
      if (breach.fault != Fault::kTableMissing &&
          breach.fault != Fault::kRightsMissing) {
        continue;
      }
      RepairStep step = {{breach.object},
                         {Transaction(breach.remedy, kNobody)}};
      if (const OwnTable* table = FindOwnTable(breach.object)) {
        step.actions.push_back(
            Transaction(ShareOwnTable(*table, report_.schema), kNobody));
      }
      Add(std::move(step));
    }
    for (const Breach& breach : report_.breaches) {
      if (breach.fault != Fault::kForPerson) continue;
      Add({{breach.object}, {}, false, breach.remedy});
    }
    return std::move(steps_);
  }

 private:
  // With the severity of its breaches.
  void Add(RepairStep step) {
    step.severity = Severity::kAdvisory;
    for (const Breach& breach : report_.breaches) {
      if (breach.severity == Severity::kBlocking &&
          std::count(step.objects.begin(), step.objects.end(), breach.object) >
              0) {
        step.severity = Severity::kBlocking;
      }
    }
    steps_.push_back(std::move(step));
  }

  // What the service can do without.
  void AddIfNeeded(RepairStep step, const char* needed) {
    step.needed = needed;
    step.severity = Severity::kAdvisory;
    steps_.push_back(std::move(step));
  }

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

  bool Has(absl::string_view name) const {
    return std::none_of(UsersContract().columns.begin(),
                        UsersContract().columns.end(), [&](const Column& c) {
                          return c.name == name &&
                                 Find(c, Fault::kColumnMissing) != nullptr;
                        });
  }

  // Whether it is missing, and the other columns say what was in it.
  bool IsFilled(const Column& column) const {
    return Find(column, Fault::kColumnMissing) != nullptr &&
           IsFilledFromOthers(
               column, [&](absl::string_view name) { return Has(name); });
  }

  // Every contact updates its row. A new version that finds room on the same
  // page touches no index (a HOT update). A choice that somebody made stays.
  void LeaveRoomForUpdates() {
    AddIfNeeded({{"users fillfactor"},
                 {Transaction("ALTER TABLE :users SET (fillfactor = 85)",
                              kShareUpdateExclusive)}},
                "SELECT relkind = 'r' AND coalesce(reloptions::text, '') NOT "
                "LIKE '%fillfactor=%' FROM pg_class WHERE oid = "
                ":'users'::regclass");
  }

  // Those that nothing has to be found out for. PostgreSQL takes a default into
  // account without touching a row.
  void AddColumns() {
    RepairStep step;
    std::vector<std::string> clauses;
    for (const Column& column : UsersContract().columns) {
      const Breach* breach = Find(column, Fault::kColumnMissing);
      if (breach == nullptr || IsFilled(column)) continue;
      step.objects.push_back(breach->object);
      clauses.push_back(AddColumnClause(column));
    }
    if (clauses.empty()) return;
    step.actions.push_back(Transaction(
        absl::StrCat("ALTER TABLE :users ", absl::StrJoin(clauses, ", "))));
    Add(std::move(step));
  }

  // Before any type: PostgreSQL does not change that of a column that another
  // one is generated from.
  void StopGenerating(const Column& column) {
    const Breach* breach = Find(column, Fault::kColumnGenerated);
    if (breach == nullptr || Find(column, Fault::kForPerson) != nullptr) return;
    RepairStep step = {{breach->object}, {Transaction(breach->remedy)}};
    step.alters_columns = true;
    Add(std::move(step));
  }

  // All of a column's other clauses that need no look at the rows, in the order
  // in which PostgreSQL accepts them; but those for a type's name.
  void AlterColumn(const Column& column) {
    // Its type comes first.
    if (Find(column, Fault::kForPerson) != nullptr) return;
    RepairStep step;
    std::vector<std::string> statements;
    const auto add = [&](Fault fault) {
      const Breach* breach = Find(column, fault);
      if (breach == nullptr) return;
      step.objects = {breach->object};
      statements.push_back(breach->remedy);
    };
    add(Fault::kColumnIdentity);
    if (column.nullable) add(Fault::kColumnNullability);
    if (column.default_value == nullptr) add(Fault::kColumnDefault);
    const Breach* breach = Find(column, Fault::kColumnType);
    if (breach != nullptr && breach->severity == Severity::kBlocking) {
      step.objects = {breach->object};
      step.rewrites_table = ChangeRewritesTable(breach->found);
      step.alters_columns = true;
      statements.push_back(absl::StartsWith(breach->found, "timestamp")
                               ? ChangeTypeInUtc(column)
                               : breach->remedy);
    }
    if (column.default_value != nullptr) add(Fault::kColumnDefault);
    if (statements.empty()) return;
    step.actions.push_back(Transaction(absl::StrJoin(statements, "; ")));
    Add(std::move(step));
  }

  // Which a view may keep, and the service can do without.
  void RenameType(const Column& column) {
    const Breach* breach = Find(column, Fault::kColumnType);
    if (breach == nullptr || breach->severity == Severity::kBlocking ||
        Find(column, Fault::kForPerson) != nullptr) {
      return;
    }
    RepairStep step = {{breach->object}, {Transaction(breach->remedy)}};
    step.alters_columns = true;
    step.severity = Severity::kAdvisory;
    steps_.push_back(std::move(step));
  }

  // Of those of the columns in which NULL is accepted. Without a look at every
  // row while others wait: the rows are filled beside the traffic; then no new
  // NULL is accepted, then those that came meanwhile are sought, beside the
  // traffic as well, and then PostgreSQL knows that there is none.
  void ForbidNull(const std::vector<const Column*>& columns) {
    RepairStep step;
    std::vector<std::string> sets;
    std::vector<std::string> lacking;
    std::vector<std::string> never;
    std::vector<std::string> alters;
    for (const Column* column : columns) {
      const Breach* breach = Find(*column, Fault::kColumnNullability);
      if (breach == nullptr || column->nullable ||
          Find(*column, Fault::kForPerson) != nullptr) {
        continue;
      }
      const absl::string_view name = column->name;
      step.objects.push_back(breach->object);
      lacking.push_back(absl::StrCat(name, " IS NULL"));
      never.push_back(absl::StrCat(name, " IS NOT NULL"));
      alters.push_back(absl::StrCat("ALTER COLUMN ", name, " SET NOT NULL"));
      if (const char* value = MeaningOfNull(*column)) {
        sets.push_back(
            absl::StrFormat("%1$s = coalesce(%1$s, %2$s)", name, value));
      } else {
        step.actions.push_back(Check(
            absl::StrFormat("SELECT CASE WHEN count(*) > 0 THEN count(*) || ' "
                            "rows of users have no %1$s' END FROM :users WHERE "
                            "%1$s IS NULL",
                            name),
            absl::StrFormat("find out whose they are, or delete them: SELECT * "
                            "FROM :users WHERE %s IS NULL",
                            name)));
      }
    }
    if (step.objects.empty()) return;
    forbids_null_ = true;
    const std::string condition = absl::StrJoin(lacking, " OR ");
    const std::string set = absl::StrJoin(sets, ", ");
    const auto add = [&](std::string sql, const char* lock) {
      step.actions.push_back(Transaction(std::move(sql), lock, kDropNeverNull));
    };
    if (!sets.empty() && HasWholeUserId()) {
      step.actions.push_back(Batches(set, condition));
    }
    add(absl::StrCat(kDropNeverNull,
                     ", ADD CONSTRAINT userprofile_never_null CHECK (",
                     absl::StrJoin(never, " AND "), ") NOT VALID"),
        kAccessExclusive);
    if (!sets.empty()) {
      add(absl::StrCat("UPDATE :users SET ", set, " WHERE ", condition),
          kRowExclusive);
    }
    add("ALTER TABLE :users VALIDATE CONSTRAINT userprofile_never_null",
        kShareUpdateExclusive);
    add(absl::StrCat("ALTER TABLE :users ", absl::StrJoin(alters, ", "), "; ",
                     kDropNeverNull),
        kAccessExclusive);
    Add(std::move(step));
  }

  // Whether users can be walked through by it.
  bool HasWholeUserId() const {
    return std::none_of(
        report_.breaches.begin(), report_.breaches.end(), [](const Breach& b) {
          return b.fault == Fault::kForPerson && b.object == "users.user_id";
        });
  }

  // A write to a row of revision 0 would return 1, as if it had created it.
  void RaiseRevisions() {
    if (!Has("revision")) return;
    RepairStep step = {{"users.revision"},
                       {Batches("revision = 1", "revision < 1")}};
    step.needed =
        "SELECT relkind = 'r' AND EXISTS (SELECT FROM :users WHERE revision < "
        "1) FROM pg_class WHERE oid = :'users'::regclass";
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
    Add({{breach.object},
         {RequireNoneShared(
              key, "users have more than one row",
              absl::StrFormat(
                  "decide which one stays: SELECT %1$s, count(*) FROM :users "
                  "GROUP BY %1$s HAVING count(*) > 1",
                  key)),
          Check(absl::StrFormat(
                    "SELECT 'the name %1$s is taken' FROM pg_class AS c JOIN "
                    "pg_class AS u ON u.relnamespace = c.relnamespace LEFT "
                    "JOIN pg_index AS i ON i.indexrelid = c.oid WHERE u.oid = "
                    ":'users'::regclass AND c.relname = '%1$s' AND (i.indrelid "
                    "IS DISTINCT FROM u.oid OR EXISTS (SELECT FROM "
                    "pg_constraint WHERE conindid = c.oid)) UNION ALL SELECT "
                    "NULL LIMIT 1",
                    kName),
                absl::StrCat("rename what has it: ALTER INDEX ", name,
                             " RENAME TO ...")),
          Concurrently(drop),
          Concurrently(absl::StrFormat(
                           "CREATE UNIQUE INDEX CONCURRENTLY %s ON :users (%s)",
                           kName, key),
                       drop),
          Transaction(
              absl::StrFormat("ALTER TABLE :users ADD PRIMARY KEY USING INDEX "
                              "%s",
                              kName),
              kAccessExclusive, absl::StrCat("DROP INDEX IF EXISTS ", name))}});
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
      step.actions.push_back(RequireNoneShared(
          index.column,
          absl::StrCat(index.column, "s are used by more than one user"),
          absl::StrFormat("clear all but one of each (an empty one counts): "
                          "SELECT %1$s, array_agg(user_id) FROM :users WHERE "
                          "%1$s IS NOT NULL GROUP BY %1$s HAVING count(*) > 1",
                          index.column)));
    }
    const std::string drop = absl::StrCat("DROP INDEX CONCURRENTLY IF EXISTS ",
                                          Qualified(index.name));
    if (breach.fault == Fault::kIndexInvalid) {
      step.actions.push_back(Concurrently(drop));
    } else if (breach.fault == Fault::kIndexElse) {
      step.actions.push_back(Transaction(
          absl::StrFormat(
              "DO $$ DECLARE name text := '%2$s_set_aside'; n integer := 1; "
              "BEGIN WHILE EXISTS (SELECT FROM pg_class AS c JOIN pg_class AS "
              "u ON u.relnamespace = c.relnamespace WHERE u.oid = "
              "%3$s::regclass AND c.relname = name) LOOP n := n + 1; name "
              ":= '%2$s_set_aside_' || n; END LOOP; EXECUTE 'ALTER INDEX "
              "%1$s RENAME TO ' || name; END $$",
              absl::StrReplaceAll(Qualified(index.name), {{"'", "''"}}),
              // Not what is between dollars.
              index.name, postgres::NameTables(":'users'", report_.schema)),
          kNobody));
    }
    step.actions.push_back(Concurrently(
        absl::StrFormat("CREATE %sINDEX CONCURRENTLY %s ON :users (%s)",
                        index.unique ? "UNIQUE " : "", index.name,
                        KeyOf(index)),
        drop));
    Add(std::move(step));
  }

  const Report& report_;
  std::vector<RepairStep> steps_;
  bool forbids_null_ = false;
};

}  // namespace

std::vector<RepairStep> PlanRepair(const Report& report) {
  std::vector<RepairStep> steps = Planner(report).Run();
  if (report.schema.empty())
    return steps;  // the session knows where it will be
  const auto name = [&](std::string& sql) {
    sql = postgres::NameTables(sql, report.schema);
  };
  for (RepairStep& step : steps) {
    name(step.needed);
    for (RepairAction& action : step.actions) {
      name(action.sql);
      name(action.advice);
      name(action.needed);
      name(action.clear_away);
    }
  }
  return steps;
}

}  // namespace userprofile::schema
