#ifndef USERPROFILE_SERVER_STORE_EDITS_H_
#define USERPROFILE_SERVER_STORE_EDITS_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/store/lane.h"
#include "server/store/profile_store.h"
#include "server/store/session_executor.h"

// What the lane of edits carries out: changes to users, and their deletion.
namespace userprofile::store {

std::unique_ptr<Operation> MakeEdit(EditCall call, CallContext context,
                                    Done done);
std::unique_ptr<Operation> MakeEdit(DeleteCall call, CallContext context,
                                    Done done);

// Carries out a batch of them, all of different users.
absl::Status RunEdits(SessionExecutor& by, SessionExecutor::Batch batch,
                      absl::Time now);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_EDITS_H_
