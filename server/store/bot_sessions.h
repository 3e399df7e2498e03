#ifndef USERPROFILE_SERVER_STORE_BOT_SESSIONS_H_
#define USERPROFILE_SERVER_STORE_BOT_SESSIONS_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/store/lane.h"
#include "server/store/profile_store.h"
#include "server/store/session_executor.h"

// What the lane of bots' sessions carries out (v1::Session; a SessionExecutor's
// are those with PostgreSQL). Those of one session run one after the other, as
// all operations of one key do.
namespace userprofile::store {

std::unique_ptr<Operation> MakeBotSession(const v1::GetSessionRequest& request,
                                          v1::GetSessionResponse* response,
                                          CallContext context, Done done);
std::unique_ptr<Operation> MakeBotSession(const v1::PutSessionRequest& request,
                                          v1::PutSessionResponse* response,
                                          CallContext context, Done done);
std::unique_ptr<Operation> MakeBotSession(
    const v1::DeleteSessionRequest& request, CallContext context, Done done);

// Carries out a batch of them, all of different sessions: first those that
// read, then those that write to sessions that are there, then those that make
// new ones; each by one statement, and the others are to be executed again.
absl::Status RunBotSessions(SessionExecutor& by, SessionExecutor::Batch batch,
                            absl::Time now);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_BOT_SESSIONS_H_
