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
#include "absl/types/optional.h"
#include "server/base/status_macros.h"

namespace userprofile::app {
namespace {

constexpr char kEmbedded[] = "embedded:";

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
  database->embedded_ = true;
  if (use == Use::kCommand) {
    absl::optional<std::string> running =
        postgres::EmbeddedCluster::ConninfoIfRunning(std::string(directory));
    if (running) {
      database->conninfo_ = *std::move(running);
      return database;
    }
  }
  postgres::EmbeddedCluster::Options cluster;
  cluster.directory = std::string(directory);
  USERPROFILE_ASSIGN_OR_RETURN(
      database->cluster_, postgres::EmbeddedCluster::Start(std::move(cluster)));
  database->conninfo_ = database->cluster_->conninfo();
  return database;
}

postgres::SessionFactory Database::Sessions() const {
  postgres::ConnectOptions options;
  options.conninfo = conninfo_;
  return [options] { return postgres::Connect(options); };
}

}  // namespace userprofile::app
