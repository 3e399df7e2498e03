#ifndef USERPROFILE_SERVER_POSTGRES_KNOWN_CLUSTER_H_
#define USERPROFILE_SERVER_POSTGRES_KNOWN_CLUSTER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/postgres/server_identity.h"

namespace userprofile::postgres {

// What is known of the cluster that sessions go to: its system identifier, and
// the highest timeline that any of its servers was seen on. A primary below
// that was replaced by another one, even if it does not know yet. Thread-safe.
class KnownCluster {
 public:
  // Knows nothing yet. What it learns it writes to `file`, whole or not at all,
  // over what is there; empty for none. That it can't is an error in the log.
  explicit KnownCluster(std::string file) : file_(std::move(file)) {}

  // Knows what the file says, if there is one. INVALID_ARGUMENT if it can't be
  // read.
  static absl::StatusOr<std::shared_ptr<KnownCluster>> Load(std::string file);

  // A server at `host`, of another cluster: UNAVAILABLE, WRONG_DATABASE. Else
  // what it says is known from now on.
  absl::Status See(const ServerIdentity& server, const std::string& host);

  // The same, and UNAVAILABLE, DEPOSED_PRIMARY, if a higher timeline was seen
  // than the server's: for one that shall be used.
  absl::Status Admit(const ServerIdentity& server, const std::string& host);

  // Whether it is known which cluster it is.
  bool known() const;

  // Whether no higher timeline was seen; what says nothing of its timeline (0)
  // is believed.
  bool IsCurrent(std::uint32_t timeline) const {
    return timeline == 0 || timeline >= timeline_;
  }

  // Writes the file, which another one may have written since.
  void SaveAgain() const;

 private:
  void Save() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string HowToAccept() const;

  const std::string file_;
  mutable base::Mutex mutex_;
  std::string system_identifier_ ABSL_GUARDED_BY(mutex_);
  std::atomic<std::uint32_t> timeline_ = 0;  // written under the mutex
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_KNOWN_CLUSTER_H_
