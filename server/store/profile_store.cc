#include "server/store/profile_store.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

// Whether the profile holds these answers: every one that is given, for those
// that are not given keep what is stored.
bool HoldsAnswers(const v1::Profile& profile,
                  const v1::OnboardingAnswers& answers) {
  const auto& texts = users::AnswerTexts();
  return std::all_of(texts.begin(), texts.end(), [&](const auto& text) {
    const std::string& answer = users::Text(answers, text.given);
    return answer.empty() || answer == users::Text(profile, text.stored);
  });
}

}  // namespace

void ProfileStore::GetProfile(const v1::GetProfileRequest& request,
                              v1::GetProfileResponse* response,
                              CallContext context, Done done) {
  Read({{request.user_id()},
        [response](std::int64_t) { return response->mutable_profile(); },
        /*all_must_exist=*/true},
       std::move(context), std::move(done));
}

void ProfileStore::BatchGetProfiles(const v1::BatchGetProfilesRequest& request,
                                    v1::BatchGetProfilesResponse* response,
                                    CallContext context, Done done) {
  const auto& asked = request.user_ids();
  std::vector<std::int64_t> users(asked.begin(), asked.end());
  absl::c_sort(users);
  users.erase(std::unique(users.begin(), users.end()), users.end());
  // Those who are found come in any order, and may be asked for twice.
  auto known =
      std::make_shared<absl::flat_hash_map<std::int64_t, v1::Profile>>();
  Read(
      {std::move(users), [known](std::int64_t user) { return &(*known)[user]; },
       /*all_must_exist=*/false},
      std::move(context),
      [known, &asked, response,
       done = std::move(done)](absl::Status read) mutable {
        for (const std::int64_t user : asked) {
          const auto profile = known->find(user);
          if (profile == known->end()) {
            response->add_missing_user_ids(user);
          } else {
            *response->add_profiles() = profile->second;
          }
        }
        done(std::move(read));
      });
}

void ProfileStore::LookupProfile(const v1::LookupProfileRequest& request,
                                 v1::LookupProfileResponse* response,
                                 CallContext context, Done done) {
  // The fields of the key have the names of their columns.
  const auto& key =
      *v1::LookupProfileRequest::GetReflection()->GetOneofFieldDescriptor(
          request,
          v1::LookupProfileRequest::descriptor()->FindOneofByName("key"));
  Find({key.name(), users::Text(request, &key), response->mutable_profile(),
        response->mutable_other_user_ids()},
       std::move(context), std::move(done));
}

void ProfileStore::CompleteOnboarding(
    const v1::CompleteOnboardingRequest& request,
    v1::CompleteOnboardingResponse* response, CallContext context, Done done) {
  Edit({request.user_id(), request.answers(), response->mutable_profile()},
       std::move(context),
       [&request, response, done = std::move(done)](absl::Status made) mutable {
         // The same answers again are as good as the first time.
         if (absl::IsFailedPrecondition(made) &&
             HoldsAnswers(response->profile(), request.answers())) {
           response->set_already_completed(true);
           made = absl::OkStatus();
         }
         done(std::move(made));
       });
}

bool IsActiveIfNew(const v1::UpsertUserRequest& request) {
  if (request.has_is_active()) return request.is_active();
  return !request.has_is_active_if_new() || request.is_active_if_new();
}

}  // namespace userprofile::store
