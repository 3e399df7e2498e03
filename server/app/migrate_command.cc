#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "nlohmann/json.hpp"
#include "ops/logging.h"
#include "server/app/commands.h"
#include "server/app/statement_watch.h"
#include "server/app/version.h"
#include "server/postgres/database.h"
#include "server/schema/history.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "server/schema/report_format.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

using postgres::Database;
using postgres::DatabaseOptions;

constexpr absl::Duration kBlockPoll = absl::Milliseconds(500);

struct MigrateCommand {
  DatabaseOptions database;
  ops::LoggingOptions logging;
  bool json = false;

  bool out_of_order = false;                        // of up and plan
  bool new_table = false;                           // of up and plan
  absl::Duration wait = absl::Hours(1);             // of up and baseline
  bool block = false;                               // of status
  absl::Duration block_timeout = absl::Minutes(5);  // of status
};

schema::MigrateOptions OptionsOf(const MigrateCommand& command) {
  schema::MigrateOptions options;
  options.tool_version = kVersion;
  options.out_of_order = command.out_of_order;
  options.new_table = command.new_table;
  options.migrator_wait = command.wait;
  return options;
}

absl::Status Up(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kCommand));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(
      const schema::MigrateResult result,
      schema::Migrate(watch.Sessions(), OptionsOf(command)));
  if (command.json) {
    std::cout << nlohmann::json({{"applied", result.applied}}) << std::endl;
  } else if (result.applied.empty()) {
    std::cout << "Nothing to do: the schema is up to date." << std::endl;
  } else {
    std::cout << "Applied " << result.applied.size()
              << " migrations; the schema is as the service needs it."
              << std::endl;
  }
  return absl::OkStatus();
}

absl::Status Baseline(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  const auto result = schema::Baseline(watch.Sessions(), OptionsOf(command));
  if (base::ErrorReason(result.status()) ==
      base::ReasonName(v1::ERROR_REASON_SCHEMA_NOT_READY)) {
    return base::MakeError(
        absl::StatusCode::kUnavailable,
        absl::StrCat("nothing was recorded, for the schema is not as needed: ",
                     result.status().message(),
                     "; 'migrate up' adopts a table in any state"),
        v1::ERROR_REASON_SCHEMA_NOT_READY);
  }
  USERPROFILE_RETURN_IF_ERROR(result.status());
  if (command.json) {
    std::cout << nlohmann::json({{"recorded", result->applied}}) << std::endl;
  } else if (result->applied.empty()) {
    std::cout << "Nothing to do: all migrations are recorded." << std::endl;
  } else {
    std::cout << "The schema is as the service needs it; recorded "
              << result->applied.size() << " migrations as applied."
              << std::endl;
  }
  return absl::OkStatus();
}

// OK if the service can serve and has all that it wants. Opens the database
// anew each time: it may come and go, and an embedded one must be left to the
// server in between.
absl::Status CheckReady(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, watch.Sessions()());
  USERPROFILE_ASSIGN_OR_RETURN(const schema::Report report,
                               schema::Inspect(*session));
  USERPROFILE_RETURN_IF_ERROR(report.ToStatus());
  // Which the report does not say to a role that may not read the history.
  USERPROFILE_RETURN_IF_ERROR(schema::ReadMigrationStatus(*session).status());
  if (!report.migrations_pending) return absl::OkStatus();
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      "migrations are pending; run 'userprofile-server migrate up'",
      v1::ERROR_REASON_SCHEMA_NOT_READY);
}

absl::Status AwaitReady(const MigrateCommand& command) {
  const base::SteadyTime give_up =
      base::SteadyTime::Now() + command.block_timeout;
  std::string logged;
  while (true) {
    absl::Status status = CheckReady(command);
    if (status.ok() || absl::IsInvalidArgument(status) ||
        base::SteadyTime::Now() >= give_up) {
      return status;
    }
    const std::string reason(status.message());
    if (reason != logged) spdlog::info("waiting: {}", reason);
    logged = reason;
    absl::SleepFor(std::min(kBlockPoll, give_up - base::SteadyTime::Now()));
  }
}

absl::Status Status(const MigrateCommand& command) {
  if (command.block) USERPROFILE_RETURN_IF_ERROR(AwaitReady(command));
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, watch.Sessions()());
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::vector<schema::MigrationStatus> migrations,
      schema::ReadMigrationStatus(*session));
  std::cout << (command.json ? schema::FormatJson(migrations)
                             : schema::FormatText(migrations))
            << std::flush;
  return absl::OkStatus();
}

absl::Status Plan(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(
      const schema::MigrationPlan plan,
      schema::PlanMigrations(watch.Sessions(), OptionsOf(command)));
  std::cout << (command.json ? schema::FormatJson(plan)
                             : schema::FormatText(plan))
            << std::flush;
  if (!plan.is_refused) return absl::OkStatus();
  return base::MakeError(absl::StatusCode::kUnavailable,
                         "'migrate up' would fail; see the plan",
                         v1::ERROR_REASON_SCHEMA_NOT_READY);
}

// A migration that is pending, came late or was changed is a fault, and so is
// any breach; one that only a newer program knows is not.
absl::Status Verify(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, watch.Sessions()());
  std::vector<std::string> faults;
  std::vector<std::string> notes;
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::vector<schema::MigrationStatus> history,
      schema::ReadMigrationStatus(*session));
  for (const schema::MigrationStatus& entry : history) {
    if (entry.state == schema::MigrationState::kApplied) continue;
    (entry.state == schema::MigrationState::kUnknown ? notes : faults)
        .push_back(schema::Explain(entry));
  }
  USERPROFILE_ASSIGN_OR_RETURN(const schema::Report report,
                               schema::Inspect(*session));
  for (const schema::Breach& breach : report.breaches) {
    faults.push_back(schema::Describe(breach));
  }
  if (command.json) {
    std::cout << nlohmann::ordered_json({{"right", faults.empty()},
                                         {"faults", faults},
                                         {"notes", notes}})
                     .dump(2)
              << std::endl;
  } else {
    for (const std::string& fault : faults) {
      std::cout << "fault     " << fault << "\n";
    }
    for (const std::string& note : notes) {
      std::cout << "note      " << note << "\n";
    }
  }
  if (!faults.empty()) {
    return base::MakeError(absl::StatusCode::kUnavailable,
                           absl::StrCat("faults found: ", faults.size()),
                           v1::ERROR_REASON_SCHEMA_NOT_READY);
  }
  if (!command.json) {
    std::cout << "The history, the files and the schema agree." << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

void AddMigrateCommand(ops::CommandLine& command_line) {
  ops::Command migrate = command_line.AddCommand(command_line.root(), "migrate",
                                                 "Bring the schema up to date");
  const auto add = [&](const char* name, const char* description,
                       absl::Status (*run)(const MigrateCommand&),
                       void (*add_flags)(ops::Command, MigrateCommand&)) {
    ops::Command app = command_line.AddCommand(migrate, name, description);
    auto command = std::make_shared<MigrateCommand>();
    AddDatabaseFlags(app, command->database);
    ops::AddOutputFlag(app, command->json);
    add_flags(app, *command);
    ops::AddLoggingFlags(app, command->logging);
    command_line.OnCall(app, [command, run] {
      absl::Status status = ops::SetUpLogging(command->logging);
      if (status.ok()) status = run(*command);
      return status.ok() ? ops::kDone : Fail(status);
    });
  };
  static constexpr auto no_flags = [](ops::Command /*app*/,
                                      MigrateCommand& /*command*/) {};
  static constexpr auto wait_flag = [](ops::Command app,
                                       MigrateCommand& command) {
    ops::AddDurationFlag(app, "--wait", command.wait,
                         "How long to wait for another migrator to finish");
  };
  static constexpr auto choice_flags = [](ops::Command app,
                                          MigrateCommand& command) {
    ops::AddSwitch(app, "--out-of-order", command.out_of_order,
                   "Also apply what came after later ones were applied");
    ops::AddSwitch(app, "--new-table", command.new_table,
                   "Begin with the users table that there is, or an empty "
                   "one, although others look as if users were in them");
  };
  add("up", "Apply what is pending, then check the schema", Up,
      [](ops::Command app, MigrateCommand& command) {
        choice_flags(app, command);
        wait_flag(app, command);
      });
  add("status", "Say which migrations were applied, when and by whom", Status,
      [](ops::Command app, MigrateCommand& command) {
        ops::AddSwitch(app, "--block", command.block,
                       "First wait until the schema is as needed");
        ops::AddDurationFlag(
            app, "--timeout", command.block_timeout,
            "How long --block waits; exit code 3 if in vain, 1 if there is no "
            "database to be reached");
      });
  add("plan",
      "Say what up would run: SQL, locks, rewrites; exit code 3 if it would "
      "fail",
      Plan, choice_flags);
  add("verify", "Compare history, files and schema; exit code 3 on any fault",
      Verify, no_flags);
  add("baseline",
      "Take a schema that is as needed for migrated, without running anything",
      Baseline, wait_flag);
}

}  // namespace userprofile::app
