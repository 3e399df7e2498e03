#ifndef USERPROFILE_SERVER_APP_RELOADER_H_
#define USERPROFILE_SERVER_APP_RELOADER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/periodic_thread.h"

namespace userprofile::app {

// Something that is read from files, and read again while the program runs.
struct Reloadable {
  // For people: "the TLS certificate".
  std::string name;

  // Reads it again. Whether anything changed; after an error nothing did, and
  // what was read before stays in force. An error says what to do, in the same
  // words each time, and holds no secret. Never called by two threads at once.
  std::function<absl::StatusOr<bool>()> reload;
};

// Reads files again once a second, on a thread of its own, and says in the log
// what came of it: each change, and each error once. An error counts when it is
// seen twice in a row, for files that belong together are rarely replaced at
// the same instant. Thread-safe.
class Reloader {
 public:
  explicit Reloader(std::vector<Reloadable> reloadables,
                    absl::Duration interval = absl::Seconds(1));

 private:
  struct Item {
    Reloadable reloadable;
    absl::Status last;      // what came of it the last time
    absl::Status reported;  // the error that the log has; OK for none
  };

  static std::vector<Item> ItemsOf(std::vector<Reloadable> reloadables);
  static void Reload(Item& item);

  std::vector<Item> items_;      // of the thread
  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_RELOADER_H_
