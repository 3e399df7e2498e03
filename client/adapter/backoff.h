#ifndef USERPROFILE_CLIENT_ADAPTER_BACKOFF_H_
#define USERPROFILE_CLIENT_ADAPTER_BACKOFF_H_

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace userprofile::adapter {

// How long to wait before the next try: from a tenth of a second, twice as long
// each time, up to five; a fifth more or less, so that many do not come back at
// once. Of one thread.
class Backoff {
 public:
  absl::Duration Next() {
    const absl::Duration wait =
        wait_ * std::uniform_real_distribution<>(0.8, 1.2)(random_);
    wait_ = std::min(wait_ * 2, absl::Seconds(5));
    return wait;
  }

 private:
  absl::Duration wait_ = absl::Milliseconds(100);
  std::minstd_rand random_{std::random_device()()};
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_BACKOFF_H_
