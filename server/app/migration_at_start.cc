#include "server/app/migration_at_start.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/error_info.h"
#include "base/steady_time.h"
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
      thread_([this] { Run(); }) {}

MigrationAtStart::~MigrationAtStart() {
  GiveUpWaiting();
  thread_.join();
}

void MigrationAtStart::GiveUpWaiting() {
  base::MutexLock lock(mutex_);
  stopping_ = true;
  changed_.SignalAll();
}

void MigrationAtStart::WaitFor(absl::Duration patience) {
  const base::SteadyTime end = base::SteadyTime::Now() + patience;
  base::MutexLock lock(mutex_);
  while (!finished_ && base::SteadyTime::Now() < end) {
    changed_.WaitUntil(mutex_, end);
  }
}

bool MigrationAtStart::stopping() {
  base::MutexLock lock(mutex_);
  return stopping_;
}

void MigrationAtStart::Run() {
  schema::MigrateOptions options;
  options.tool_version = kVersion;
  options.new_table = new_table_;
  options.give_up = [this] { return stopping(); };
  bool logged = false;
  while (true) {
    const auto result = schema::Migrate(connect_, options);
    if (result.ok()) {
      spdlog::info("the schema is up to date; {} migrations were applied",
                   result->applied.size());
    } else if (!logged && !absl::IsCancelled(result.status())) {
      spdlog::error("can't migrate the schema: {}",
                    std::string(result.status().message()));
      logged = true;
    }
    base::MutexLock lock(mutex_);
    if (!MayTryAgain(result.status()) || stopping_) {
      finished_ = true;
      changed_.SignalAll();
      return;
    }
    const base::SteadyTime next = base::SteadyTime::Now() + kPause;
    while (!stopping_ && base::SteadyTime::Now() < next) {
      changed_.WaitUntil(mutex_, next);
    }
  }
}

}  // namespace userprofile::app
