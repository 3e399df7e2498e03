#ifndef USERPROFILE_BASE_BATCH_SCHEDULING_H_
#define USERPROFILE_BASE_BATCH_SCHEDULING_H_

namespace userprofile::base {

// Lets the calling thread, once it is woken, wait for its turn instead of
// pushing aside a thread that runs: SCHED_BATCH of sched(7), which needs no
// right. For work that costs less the more of it has gathered. Where a core is
// idle, nothing changes. Of no effect if the system refuses.
void UseBatchScheduling();

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_BATCH_SCHEDULING_H_
