#ifndef USERPROFILE_SERVER_STORE_TESTING_FAKE_STORE_H_
#define USERPROFILE_SERVER_STORE_TESTING_FAKE_STORE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/store/profile_store.h"

namespace userprofile::store {

// Keeps users in memory, for tests of what uses a store. Answers every call
// before it returns. Passes the conformance suite that PostgresStore passes.
class FakeStore final : public ProfileStore {
 public:
  explicit FakeStore(base::Clock clock = absl::Now);

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

 private:
  absl::Status TryRead(const ReadCall& call);
  absl::Status TryFind(const FindCall& call);
  absl::Status TryScan(const ScanCall& call);
  absl::Status TryEdit(const EditCall& call);
  absl::Status TryDelete(const DeleteCall& call);
  absl::Status TryReadChanges(const ChangesCall& call);
  absl::Status TryPutSession(const v1::PutSessionRequest& request,
                             v1::PutSessionResponse* response);
  void Write(const v1::UpsertUserRequest& request, v1::Profile& profile)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Null if there is none, or it has expired.
  v1::Session* FindSession(const std::string& bot, const std::string& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock clock_;
  base::Mutex mutex_;
  absl::btree_map<std::int64_t, v1::Profile> users_ ABSL_GUARDED_BY(mutex_);

  // By bot and key.
  absl::btree_map<std::pair<std::string, std::string>, v1::Session> sessions_
      ABSL_GUARDED_BY(mutex_);

  // Who, and the kind of change, as in server/schema/own_tables.h.
  std::vector<std::pair<std::int64_t, char>> changed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TESTING_FAKE_STORE_H_
