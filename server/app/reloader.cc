#include "server/app/reloader.h"

#include <utility>

#include "spdlog/spdlog.h"

namespace userprofile::app {

std::vector<Reloader::Item> Reloader::ItemsOf(
    std::vector<Reloadable> reloadables) {
  std::vector<Item> items;
  for (Reloadable& reloadable : reloadables) {
    items.push_back({std::move(reloadable), {}, {}});
  }
  return items;
}

Reloader::Reloader(std::vector<Reloadable> reloadables, absl::Duration interval)
    : items_(ItemsOf(std::move(reloadables))), thread_([this, interval] {
        for (Item& item : items_) Reload(item);
        return interval;
      }) {}

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
