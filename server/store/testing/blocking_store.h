#ifndef USERPROFILE_SERVER_STORE_TESTING_BLOCKING_STORE_H_
#define USERPROFILE_SERVER_STORE_TESTING_BLOCKING_STORE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/profile_store.h"

namespace userprofile::store {

// A store's calls for tests: they wait for the answer. Thread-safe.
class BlockingStore {
 public:
  // `store` must outlive this object.
  explicit BlockingStore(ProfileStore& store) : store_(store) {}

  absl::StatusOr<v1::UpsertUserResponse> Upsert(
      const v1::UpsertUserRequest& request, CallContext context = {});
  absl::StatusOr<v1::GetProfileResponse> Get(std::int64_t user_id,
                                             CallContext context = {});
  absl::StatusOr<v1::BatchGetProfilesResponse> GetMany(
      const std::vector<std::int64_t>& user_ids, CallContext context = {});
  absl::StatusOr<v1::LookupProfileResponse> Lookup(
      const v1::LookupProfileRequest& request, CallContext context = {});
  absl::StatusOr<v1::LookupProfileResponse> LookupUsername(
      const std::string& username, CallContext context = {});
  absl::StatusOr<v1::CompleteOnboardingResponse> Complete(
      const v1::CompleteOnboardingRequest& request, CallContext context = {});
  absl::StatusOr<v1::UpdateProfileResponse> Update(
      const v1::UpdateProfileRequest& request);
  absl::StatusOr<v1::DeleteUserResponse> Delete(
      const v1::DeleteUserRequest& request);

  absl::StatusOr<v1::GetSessionResponse> GetSession(
      const v1::GetSessionRequest& request, CallContext context = {});
  absl::StatusOr<v1::PutSessionResponse> PutSession(
      const v1::PutSessionRequest& request);
  absl::StatusOr<v1::DeleteSessionResponse> DeleteSession(
      const v1::DeleteSessionRequest& request);

  absl::StatusOr<ChangesCall::Page> ReadChanges(ChangesCall call);

  // All at once; the answers in the order of the requests.
  std::vector<absl::StatusOr<v1::UpsertUserResponse>> UpsertAll(
      const std::vector<v1::UpsertUserRequest>& requests);
  std::vector<absl::StatusOr<v1::CompleteOnboardingResponse>> CompleteAll(
      const std::vector<v1::CompleteOnboardingRequest>& requests);
  std::vector<absl::StatusOr<v1::DeleteUserResponse>> DeleteAll(
      const std::vector<v1::DeleteUserRequest>& requests);
  std::vector<absl::StatusOr<v1::PutSessionResponse>> PutSessions(
      const std::vector<v1::PutSessionRequest>& requests);

 private:
  ProfileStore& store_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TESTING_BLOCKING_STORE_H_
