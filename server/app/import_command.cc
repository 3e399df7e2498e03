#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "nlohmann/json.hpp"
#include "ops/logging.h"
#include "server/app/commands.h"
#include "server/app/statement_watch.h"
#include "server/app/user_file.h"
#include "server/postgres/database.h"
#include "server/schema/inspector.h"
#include "server/store/import.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::app {
namespace {

using base::SteadyTime;
using postgres::Database;
using postgres::DatabaseOptions;

// How many users are stored by one statement, and locked meanwhile.
constexpr std::size_t kBatch = 1000;

constexpr char kImportHelp[] =
    R"(A value for each field of a profile, by its name: user_id, first_name, last_name,
username, language_code, is_active, onboarding_completed, real_name, nickname,
study_track, grade_band, grade_year, phone, created_at, last_seen_at,
last_activity, attributes. JSON has an object a line, CSV a header; what
'userprofile list --output json' prints is such a file, and so is that of
--output csv. Times are RFC 3339, "2025-10-01 08:00:00" in UTC, or seconds or
milliseconds since 1970.

Whoever is not stored yet is created; of whoever is, only what is missing is
filled in. It is no contact, lowers nothing, and may be done beside the bots. To
go on after an interruption do the same again: it passes by what is stored.

What can't be stored is told on standard error, a line each: a value that the
service refuses, and a nickname that somebody else has, which are left out; and
users of whom nothing could be. Then the exit code is 4. A dry run sees nicknames
that are twice in the file only among a thousand users.)";

struct ImportCommand {
  DatabaseOptions database;
  ops::LoggingOptions logging;
  bool json = false;
  std::string file;
  std::string format;
  std::vector<std::string> map;
  std::vector<std::string> skip;
  bool dry_run = false;
};

struct Counts {
  std::int64_t users = 0;
  std::int64_t created = 0;
  std::int64_t changed = 0;
  std::int64_t refused = 0;     // of whom nothing is stored
  std::int64_t incomplete = 0;  // of whom something is not
};

absl::StatusOr<UserFileOptions> OptionsOf(const ImportCommand& command) {
  UserFileOptions options;
  options.csv = command.format.empty()
                    ? absl::EndsWithIgnoreCase(command.file, ".csv")
                    : command.format == "csv";
  for (const std::string& entry : command.map) {
    const std::pair<std::string, std::string> names =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const auto& [field, name] = names;
    if (name.empty() ||
        v1::Profile::descriptor()->FindFieldByName(field) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--map ", entry, " is not FIELD=NAME with a field of a profile"));
    }
    if (!options.fields.emplace(name, field).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--map ", entry, " gives ", name, " a second meaning"));
    }
  }
  options.skipped.insert(command.skip.begin(), command.skip.end());
  options.latest = absl::Now() + absl::Minutes(5);  // as of contacts
  return options;
}

// One run.
class Import {
 public:
  Import(const ImportCommand& command, UserFileOptions options,
         std::istream& in)
      : command_(command),
        noun_(options.csv ? "row " : "line "),
        file_(in, std::move(options)) {}

  absl::Status Run(postgres::Session& session) {
    while (absl::optional<UserOfFile> next = file_.Next()) {
      ++counts_.users;
      if (!next->user.has_value()) {
        ++counts_.refused;
        Tell(*next);
        continue;
      }
      // A statement has everybody once.
      const bool is_there = !ids_.insert(next->user->profile.user_id()).second;
      if (is_there || batch_.size() == kBatch) {
        USERPROFILE_RETURN_IF_ERROR(Store(session));
        ids_.insert(next->user->profile.user_id());
      }
      batch_.push_back(*std::move(next->user));
      next->user.reset();
      read_.push_back(*std::move(next));
    }
    USERPROFILE_RETURN_IF_ERROR(Store(session));
    return file_.status();
  }

  const Counts& counts() const { return counts_; }

 private:
  absl::Status Store(postgres::Session& session) {
    auto stored = store::ImportUsers(session, absl::MakeSpan(batch_),
                                     absl::Now(), command_.dry_run);
    USERPROFILE_RETURN_IF_ERROR(stored.status());
    counts_.created += stored->created;
    counts_.changed += stored->changed;
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      const absl::Status& result = batch_[i].result;
      std::vector<std::string>& faults = read_[i].faults;
      if (batch_[i].attributes_left_out) {
        faults.emplace_back(
            "attributes do not fit beside those that are there");
      }
      if (absl::IsAlreadyExists(result)) {
        faults.emplace_back("nickname is another user's");
      } else if (!result.ok()) {
        faults.emplace_back("is refused by the database");
        ++counts_.refused;
      }
      if (faults.empty()) continue;
      if (result.ok() || absl::IsAlreadyExists(result)) ++counts_.incomplete;
      Tell(read_[i], batch_[i].profile.user_id());
    }
    batch_.clear();
    read_.clear();
    ids_.clear();
    ShowProgress();
    return absl::OkStatus();
  }

  void Tell(const UserOfFile& user, std::int64_t user_id = 0) {
    for (const std::string& fault : user.faults) {
      std::cerr << noun_ << user.line;
      if (user_id != 0) std::cerr << ", user " << user_id;
      std::cerr << ": " << fault << "\n";
    }
  }

  void ShowProgress() {
    const SteadyTime now = SteadyTime::Now();
    if (!is_terminal_ || now - shown_ < absl::Seconds(1)) return;
    shown_ = now;
    const auto rate =
        static_cast<std::int64_t>(static_cast<double>(counts_.users) /
                                  absl::ToDoubleSeconds(now - began_));
    std::cerr << "\r" << counts_.users << " users, " << rate << " a second "
              << std::flush;
  }

  const ImportCommand& command_;
  const char* const noun_;
  UserFile file_;
  const bool is_terminal_ = ::isatty(STDERR_FILENO) != 0;
  const SteadyTime began_ = SteadyTime::Now();
  SteadyTime shown_ = began_;
  Counts counts_;

  // What is to be stored next, and where it comes from.
  std::vector<store::ImportedUser> batch_;
  std::vector<UserOfFile> read_;
  std::set<std::int64_t> ids_;
};

void Print(const ImportCommand& command, const Counts& counts) {
  if (command.json) {
    std::cout << nlohmann::json({{"users", counts.users},
                                 {"created", counts.created},
                                 {"changed", counts.changed},
                                 {"incomplete", counts.incomplete},
                                 {"refused", counts.refused}})
              << std::endl;
    return;
  }
  std::cout << counts.users << " users: " << counts.created << " created, "
            << counts.changed << " changed, "
            << counts.users - counts.created - counts.changed - counts.refused
            << " as they were";
  if (counts.incomplete > 0) {
    std::cout << "; of " << counts.incomplete << " something was left out";
  }
  if (counts.refused > 0) std::cout << "; " << counts.refused << " not stored";
  std::cout << (command.dry_run ? ". This was a dry run: nothing is stored."
                                : ".")
            << std::endl;
}

absl::StatusOr<Counts> Carry(const ImportCommand& command) {
  USERPROFILE_RETURN_IF_ERROR(ops::SetUpLogging(command.logging));
  USERPROFILE_ASSIGN_OR_RETURN(UserFileOptions options, OptionsOf(command));
  std::ifstream file;
  if (command.file != "-") {
    file.open(command.file, std::ios::binary);
    if (!file) {
      return absl::NotFoundError(absl::StrCat("can't read ", command.file, ": ",
                                              std::strerror(errno)));
    }
  }
  USERPROFILE_ASSIGN_OR_RETURN(
      const auto database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, watch.Sessions()());
  USERPROFILE_ASSIGN_OR_RETURN(const schema::Report report,
                               schema::Inspect(*session));
  USERPROFILE_RETURN_IF_ERROR(report.ToStatus());

  Import import(command, std::move(options),
                command.file == "-" ? std::cin : file);
  const absl::Status status = import.Run(*session);
  if (!status.ok()) {
    return absl::Status(
        status.code(),
        absl::StrCat(status.message(), ". Of ", command.file, " ",
                     import.counts().users,
                     " users were read; to go on, do the same again"));
  }
  return import.counts();
}

int RunImport(const ImportCommand& command) {
  std::ios::sync_with_stdio(false);
  const absl::StatusOr<Counts> counts = Carry(command);
  if (!counts.ok()) return Fail(counts.status());
  Print(command, *counts);
  return counts->incomplete + counts->refused > 0 ? kExitNotAll : ops::kDone;
}

}  // namespace

void AddImportCommand(ops::CommandLine& command_line) {
  ops::Command app =
      command_line.AddCommand(command_line.root(), "import",
                              "Store users who were known to another system");
  app.Footer(kImportHelp);
  const auto command = std::make_shared<ImportCommand>();
  ops::AddArgument(app, "FILE", command->file, "The file; - is standard input");
  ops::AddFlag(app, "--format", command->format,
               "jsonl or csv; without it as the file's name ends, or jsonl")
      .OneOf({"jsonl", "csv"})
      .OnlyHere();
  ops::AddListFlag(app, "--map", command->map,
                   "FIELD=NAME: what the file calls a field of a profile")
      .TypeName("FIELD=NAME")
      .OnlyHere();
  ops::AddListFlag(app, "--skip", command->skip,
                   "What of the file is not wanted, by its name there")
      .TypeName("NAME")
      .OnlyHere();
  ops::AddSwitch(app, "--dry-run", command->dry_run,
                 "Say what would become of it, and store nothing")
      .OnlyHere();
  AddDatabaseFlags(app, command->database);
  ops::AddOutputFlag(app, command->json);
  ops::AddLoggingFlags(app, command->logging);
  command_line.OnCall(app, [command] { return RunImport(*command); });
}

}  // namespace userprofile::app
