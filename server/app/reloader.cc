#include "server/app/reloader.h"

#include <utility>

#include "spdlog/spdlog.h"

namespace userprofile::app {

Reloader::Reloader(std::vector<Reloadable> reloadables, absl::Duration interval)
    : interval_(interval) {
  for (Reloadable& reloadable : reloadables) {
    items_.push_back({std::move(reloadable), {}, {}});
  }
  thread_ = std::thread([this] { Run(); });
}

Reloader::~Reloader() {
  {
    base::MutexLock lock(mutex_);
    stop_ = true;
  }
  stopped_.SignalAll();
  thread_.join();
}

void Reloader::Run() {
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (!stop_) stopped_.WaitFor(mutex_, interval_);
      if (stop_) return;
    }
    for (Item& item : items_) Reload(item);
  }
}

void Reloader::Reload(Item& item) {
  const std::string& name = item.reloadable.name;
  const absl::StatusOr<bool> changed = item.reloadable.reload();
  const absl::Status& now = changed.status();
  if (!now.ok()) {
    if (now == item.last && now != item.reported) {
      spdlog::warn("{} was not read again, the old stays in force: {}", name,
                   std::string(now.message()));
      item.reported = now;
    }
  } else if (*changed) {
    spdlog::info("{} was read again", name);
    item.reported = absl::OkStatus();
  } else if (!item.reported.ok()) {
    spdlog::info("{} is again what is in force", name);
    item.reported = absl::OkStatus();
  }
  item.last = now;
}

}  // namespace userprofile::app
