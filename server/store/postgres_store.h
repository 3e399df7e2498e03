#ifndef USERPROFILE_SERVER_STORE_POSTGRES_STORE_H_
#define USERPROFILE_SERVER_STORE_POSTGRES_STORE_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/postgres/session.h"
#include "server/store/lane.h"
#include "server/store/profile_store.h"

namespace userprofile::store {

// How a PostgresStore works, and each of its lanes.
struct PostgresStoreOptions : LaneOptions {
  // Makes the connections, one for each worker, when they are needed. Required.
  postgres::SessionFactory connect;

  // Workers, and so connections, for reads, for upserts, and for edits, which
  // onboarding and deletions are too. One more proves that users are not there,
  // one finds them by name, one goes through all of them,
  // one reads what changed, and one has the sessions of bots.
  int read_workers = 2;
  int upsert_workers = 2;
  int edit_workers = 1;

  // A contact that changes neither identity nor is_active of a known user is
  // not written, but answered with what is stored, if last_seen_at and
  // last_activity would move by less than this. Spares the database half of its
  // work for such contacts; those two times may be late by this much, the
  // revision does not count them, and events of a user that arrive out of order
  // within it may be taken in the order of their arrival. 0 writes them all.
  absl::Duration contact_interval = absl::ZeroDuration();

  // Whether contacts that change nothing are recorded among the changes, too,
  // so that a watch can ask for them. Each is one more row to write, and those
  // are kept for as long as others.
  bool record_contacts = false;

  // Whether the table of sessions is known to be right: with one that others
  // planted, what hangs on it would run with the rights of the server. Where it
  // is not, calls of sessions and deletions of users, who may have some, are
  // answered with SessionsUnavailable.
  std::function<bool()> may_use_sessions = [] { return true; };

  // For each lane that bots need, by name; see Lane::Options.
  std::function<void(const char* lane, const absl::Status&)> on_health;

  // Not owned, may be null.
  ops::Metrics* metrics = nullptr;

  // Tells the times that are stored.
  base::Clock clock = absl::Now;
};

// Stores users in PostgreSQL's table `users`, which must be as the schema
// contract says, and what else there is in tables beside it. A lane for each
// verb; see lane.h for what holds when something fails. Makes no connection
// before the first request.
class PostgresStore final : public ProfileStore {
 public:
  explicit PostgresStore(PostgresStoreOptions options);

  void Read(ReadCall call, CallContext context, Done done) override;
  void Find(FindCall call, CallContext context, Done done) override;
  void Contact(const v1::UpsertUserRequest& request,
               v1::UpsertUserResponse* response, CallContext context,
               Done done) override;
  void Edit(EditCall call, CallContext context, Done done) override;
  void Delete(DeleteCall call, CallContext context, Done done) override;
  void Scan(ScanCall call, CallContext context, Done done) override;
  void ReadTokenKey(std::string* key, CallContext context, Done done) override;
  void ReadChanges(ChangesCall call, CallContext context, Done done) override;
  void GetSession(const v1::GetSessionRequest& request,
                  v1::GetSessionResponse* response, CallContext context,
                  Done done) override;
  void PutSession(const v1::PutSessionRequest& request,
                  v1::PutSessionResponse* response, CallContext context,
                  Done done) override;
  void DeleteSession(const v1::DeleteSessionRequest& request,
                     v1::DeleteSessionResponse* response, CallContext context,
                     Done done) override;
  absl::Status Late(Verb verb) const override;

  // Refuses further calls and returns when all are answered, by `deadline` or
  // little later. See Lane::Shutdown.
  void Shutdown(base::SteadyTime deadline);

 private:
  const bool record_contacts_;
  const std::function<bool()> may_use_sessions_;

  base::Mutex token_key_mutex_;
  std::string token_key_ ABSL_GUARDED_BY(token_key_mutex_);  // once it is known

  // Reads again who was not found, and proves that nobody is there. Apart, for
  // that takes a commit: where it has to wait for a standby, those who are
  // known are read nevertheless.
  Lane proven_reads_;
  Lane reads_;
  Lane finds_;
  Lane contacts_;
  Lane edits_;
  Lane scans_;
  Lane changes_;
  Lane sessions_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_POSTGRES_STORE_H_
