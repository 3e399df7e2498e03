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

// The answers that are given.
v1::Profile AnswersOf(const v1::OnboardingAnswers& given) {
  v1::Profile answers;
  for (const auto& text : users::AnswerTexts()) {
    const std::string& answer = users::Text(given, text.given);
    if (answer.empty()) continue;
    v1::Profile::GetReflection()->SetString(&answers, text.stored, answer);
  }
  return answers;
}

// Whether the profile holds these answers: every one that is given, for those
// that are not given keep what is stored.
bool HoldsAnswers(const v1::Profile& profile,
                  const v1::OnboardingAnswers& answers) {
  return absl::c_all_of(users::AnswerTexts(), [&](const auto& text) {
    const std::string& answer = users::Text(answers, text.given);
    return answer.empty() || answer == users::Text(profile, text.stored);
  });
}

}  // namespace

bool ScanCall::Wants(absl::string_view field) const {
  return read_mask == nullptr || read_mask->paths().empty() ||
         absl::c_linear_search(read_mask->paths(), field);
}

void ScanCall::NoteFound(std::int64_t user_id) const {
  constexpr std::size_t kTagAndLength = 8;  // or less
  const std::size_t bytes = profiles->rbegin()->ByteSizeLong() + kTagAndLength;
  if (result->bytes + bytes > most_bytes && profiles->size() > 1) {
    result->is_full = true;
    return profiles->RemoveLast();
  }
  result->bytes += bytes;
  result->reached = user_id;
  result->is_full =
      ++result->count == most_found || result->bytes >= most_bytes;
}

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
  EditCall call;
  call.user_id = request.user_id();
  call.changes = AnswersOf(request.answers());
  call.given_in = "answers";
  call.onboarding_completed = true;
  call.profile = response->mutable_profile();
  Edit(std::move(call), std::move(context),
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

void ProfileStore::UpdateProfile(const v1::UpdateProfileRequest& request,
                                 v1::UpdateProfileResponse* response,
                                 CallContext context, Done done) {
  EditCall call;
  call.user_id = request.profile().user_id();
  call.changes = request.profile();
  call.replace_attributes = absl::c_any_of(
      request.update_mask().paths(),
      [](const auto& path) { return path == "attributes" || path == "*"; });
  call.given_in = "profile";
  if (!call.replace_attributes && call.changes.attributes().fields().empty()) {
    call.changes.clear_attributes();
  }
  if (request.reset_onboarding()) call.onboarding_completed = false;
  if (request.has_expected_revision()) {
    call.expected_revision = request.expected_revision();
  }
  call.profile = response->mutable_profile();
  Edit(std::move(call), std::move(context), std::move(done));
}

void ProfileStore::DeleteUser(const v1::DeleteUserRequest& request,
                              v1::DeleteUserResponse* /*response*/,
                              CallContext context, Done done) {
  DeleteCall call;
  call.user_id = request.user_id();
  if (request.has_expected_revision()) {
    call.expected_revision = request.expected_revision();
  }
  Delete(call, std::move(context),
         [allow_missing = request.allow_missing(),
          done = std::move(done)](absl::Status deleted) mutable {
           done(allow_missing && absl::IsNotFound(deleted)
                    ? absl::OkStatus()
                    : std::move(deleted));
         });
}

bool IsActiveIfNew(const v1::UpsertUserRequest& request) {
  if (request.has_is_active()) return request.is_active();
  return !request.has_is_active_if_new() || request.is_active_if_new();
}

bool IsRepeated(const v1::UpsertUserRequest& request,
                const v1::Profile& stored) {
  return !request.event_id().empty() && !stored.onboarding_completed() &&
         request.event_id() == stored.created_by_event();
}

}  // namespace userprofile::store
