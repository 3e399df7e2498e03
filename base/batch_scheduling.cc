#include "base/batch_scheduling.h"

#include <sched.h>

namespace userprofile::base {

void UseBatchScheduling() {
  const sched_param no_priority{};
  sched_setscheduler(0, SCHED_BATCH, &no_priority);
}

}  // namespace userprofile::base
