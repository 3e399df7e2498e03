#include "server/app/migration_at_start.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/error_info.h"
#include "server/app/version.h"
#include "server/schema/migrator.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(500);

// Whether the database was away, or others were in the way, rather than that it
// is not as it should be.
bool MayTryAgain(const absl::Status& status) {
  return absl::IsAborted(status) ||
         base::ErrorReason(status) == schema::kMigratorBusy ||
         (absl::IsUnavailable(status) &&
          base::ErrorReason(status) !=
              base::ReasonName(v1::ERROR_REASON_SCHEMA_NOT_READY));
}

}  // namespace

MigrationAtStart::MigrationAtStart(postgres::SessionFactory connect,
                                   bool new_table)
    : connect_(std::move(connect)),
      new_table_(new_table),
      thread_([this] { return Run(); }) {}

absl::Duration MigrationAtStart::Run() {
  schema::MigrateOptions options;
  options.tool_version = kVersion;
  options.new_table = new_table_;
  options.give_up = [this] { return thread_.stopping(); };
  const auto result = schema::Migrate(connect_, options);
  if (result.ok()) {
    spdlog::info("the schema is up to date; {} migrations were applied",
                 result->applied.size());
  } else if (!logged_ && !absl::IsCancelled(result.status())) {
    spdlog::error("can't migrate the schema: {}",
                  std::string(result.status().message()));
    logged_ = true;
  }
  return MayTryAgain(result.status()) ? kPause : absl::InfiniteDuration();
}

}  // namespace userprofile::app
