#include "server/app/database.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/base/status_macros.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

constexpr char kEmbedded[] = "embedded:";

// How long a server may take to open its database, for a command that wants to
// share it.
constexpr absl::Duration kStartPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(100);

absl::StatusOr<std::string> Specification(const DatabaseOptions& options) {
  if (options.database_file.empty()) return options.database;
  std::ifstream file(options.database_file);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file.good() && !file.eof()) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't read the database file ", options.database_file));
  }
  absl::StripAsciiWhitespace(&text);
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the database file ", options.database_file,
                     " is empty or can't be read"));
  }
  return text;
}

}  // namespace

std::string DatabaseOptions::DefaultDatabase() {
  if (geteuid() == 0) return absl::StrCat(kEmbedded, "/var/lib/userprofile");
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::string data = variable("XDG_DATA_HOME");
  if (data.empty()) data = absl::StrCat(variable("HOME"), "/.local/share");
  return absl::StrCat(kEmbedded, data, "/userprofile");
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const DatabaseOptions& options, Use use) {
  USERPROFILE_ASSIGN_OR_RETURN(const std::string specification,
                               Specification(options));
  auto database = std::unique_ptr<Database>(new Database);
  absl::string_view directory = specification;
  if (!absl::ConsumePrefix(&directory, kEmbedded)) {
    if (!absl::StrContains(specification, "=") &&
        !absl::StrContains(specification, "://")) {
      // Not quoted: it could be a password in the wrong place.
      return absl::InvalidArgumentError(
          "--database is neither embedded:DIR nor a connection string "
          "(postgresql://user@host/name, or host=... dbname=...)");
    }
    database->conninfo_ = specification;
    return database;
  }
  if (directory.empty()) {
    return absl::InvalidArgumentError("--database embedded: lacks a directory");
  }
  USERPROFILE_RETURN_IF_ERROR(
      database->OpenEmbedded(std::string(directory), use));
  return database;
}

absl::Status Database::OpenEmbedded(const std::string& directory, Use use) {
  using postgres::DirectoryHolder;
  embedded_ = true;
  const absl::Time give_up = absl::Now() + kStartPatience;
  for (bool logged = false;; absl::SleepFor(kPoll)) {
    switch (postgres::EmbeddedCluster::HolderOf(directory)) {
      case DirectoryHolder::kNobody: {
        if (use == Use::kInspect &&
            !postgres::EmbeddedCluster::Exists(directory)) {
          return absl::NotFoundError(absl::StrCat(
              "there is no database in ", directory,
              "; 'userprofile-server serve' and 'migrate up' make one"));
        }
        absl::Status status =
            Own(directory, use == Use::kServe ? DirectoryHolder::kServer
                                              : DirectoryHolder::kCommand);
        // Or somebody was faster.
        if (status.ok() || postgres::EmbeddedCluster::HolderOf(directory) ==
                               DirectoryHolder::kNobody) {
          return status;
        }
        break;
      }
      case DirectoryHolder::kServer: {
        if (use == Use::kServe) {
          absl::Status status = Own(directory, DirectoryHolder::kServer);
          // Or it is a command that had not said so yet.
          if (status.ok() || postgres::EmbeddedCluster::HolderOf(directory) !=
                                 DirectoryHolder::kCommand) {
            return status;
          }
          break;
        }
        conninfo_ =
            postgres::EmbeddedCluster::ConninfoIfRunning(directory).value_or(
                "");
        absl::Status status =
            conninfo_.empty() ? absl::UnavailableError("the server has ended")
                              : Sessions()().status();
        if (status.ok() || absl::Now() > give_up) return status;
        break;
      }
      case DirectoryHolder::kCommand:
        if (!logged) {
          spdlog::info("waiting for a command that works on {} to finish",
                       directory);
          logged = true;
        }
        break;
    }
  }
}

absl::Status Database::Own(const std::string& directory,
                           postgres::DirectoryHolder holder) {
  postgres::EmbeddedCluster::Options options;
  options.directory = directory;
  options.holder = holder;
  USERPROFILE_ASSIGN_OR_RETURN(
      cluster_, postgres::EmbeddedCluster::Start(std::move(options)));
  conninfo_ = cluster_->conninfo();
  return absl::OkStatus();
}

postgres::SessionFactory Database::Sessions() const {
  postgres::ConnectOptions options;
  options.conninfo = conninfo_;
  return [options] { return postgres::Connect(options); };
}

postgres::SessionFactory Database::ServingSessions() const {
  postgres::ConnectOptions options;
  options.conninfo = conninfo_;
  options.answer_timeout = options.statement_timeout + absl::Seconds(2);
  return [options] { return postgres::Connect(options); };
}

}  // namespace userprofile::app
