#include "server/app/command_flags.h"

#include <iostream>
#include <map>

#include "base/error_info.h"
#include "server/postgres/errors.h"

namespace userprofile::app {

void AddDatabaseFlags(CLI::App* command, postgres::DatabaseOptions& options) {
  CLI::Option* database = ops::AddFlag(
      command, "--database", options.database,
      "embedded:DIR (a private PostgreSQL in DIR) or postgresql://...");
  // Neither wins, wherever they come from: it would be the wrong database.
  ops::AddFlag(command, "--database-file", options.database_file,
               "A file that holds the same, to keep its password from view")
      ->excludes(database);
}

void AddOutputFlag(CLI::App* command, bool& json) {
  command->add_option("--output", json, "text (for people) or json")
      ->envname(ops::EnvironmentName("--output"))
      ->transform(CLI::Transformer(std::map<std::string, std::string>{
          {"text", "false"}, {"json", "true"}}))
      ->type_name("text|json")
      ->default_str("text");
}

int Fail(const absl::Status& status) {
  std::cerr << "userprofile-server: " << std::string(status.message())
            << std::endl;
  // Unless it was the data that the database refused.
  if (absl::IsInvalidArgument(status) && postgres::SqlState(status).empty()) {
    return ops::kWrongUsage;
  }
  return base::ErrorReason(status) == "SCHEMA_NOT_READY" ? kExitSchemaNotReady
                                                         : ops::kFailed;
}

}  // namespace userprofile::app
