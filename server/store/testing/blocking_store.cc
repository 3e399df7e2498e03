#include "server/store/testing/blocking_store.h"

#include <deque>
#include <future>
#include <memory>
#include <utility>

namespace userprofile::store {
namespace {

template <typename Response, typename Request>
using Method = void (ProfileStore::*)(const Request&, Response*, CallContext,
                                      Done);

// Starts a call for each request, then waits for all answers.
template <typename Response, typename Request>
std::vector<absl::StatusOr<Response>> CallAll(
    ProfileStore& store, Method<Response, Request> method,
    const std::vector<Request>& requests, const CallContext& context) {
  std::deque<Response> responses;
  // Shared with the callbacks, which may still be in set_value when its effect
  // is seen here.
  std::vector<std::shared_ptr<std::promise<absl::Status>>> answers;
  for (const Request& request : requests) {
    Response& response = responses.emplace_back();
    auto answer = std::make_shared<std::promise<absl::Status>>();
    answers.push_back(answer);
    (store.*method)(request, &response, context, [answer](absl::Status status) {
      answer->set_value(std::move(status));
    });
  }
  std::vector<absl::StatusOr<Response>> results;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const absl::Status status = answers[i]->get_future().get();
    if (status.ok()) {
      results.emplace_back(std::move(responses[i]));
    } else {
      results.emplace_back(status);
    }
  }
  return results;
}

}  // namespace

absl::StatusOr<v1::UpsertUserResponse> BlockingStore::Upsert(
    const v1::UpsertUserRequest& request, CallContext context) {
  return CallAll<v1::UpsertUserResponse, v1::UpsertUserRequest>(
             store_, &ProfileStore::Contact, {request}, context)
      .front();
}

absl::StatusOr<v1::GetProfileResponse> BlockingStore::Get(std::int64_t user_id,
                                                          CallContext context) {
  v1::GetProfileRequest request;
  request.set_user_id(user_id);
  return CallAll<v1::GetProfileResponse, v1::GetProfileRequest>(
             store_, &ProfileStore::GetProfile, {request}, context)
      .front();
}

absl::StatusOr<v1::BatchGetProfilesResponse> BlockingStore::GetMany(
    const std::vector<std::int64_t>& user_ids, CallContext context) {
  v1::BatchGetProfilesRequest request;
  request.mutable_user_ids()->Add(user_ids.begin(), user_ids.end());
  return CallAll<v1::BatchGetProfilesResponse, v1::BatchGetProfilesRequest>(
             store_, &ProfileStore::BatchGetProfiles, {request}, context)
      .front();
}

absl::StatusOr<v1::LookupProfileResponse> BlockingStore::Lookup(
    const v1::LookupProfileRequest& request, CallContext context) {
  return CallAll<v1::LookupProfileResponse, v1::LookupProfileRequest>(
             store_, &ProfileStore::LookupProfile, {request}, context)
      .front();
}

absl::StatusOr<v1::LookupProfileResponse> BlockingStore::LookupUsername(
    const std::string& username, CallContext context) {
  v1::LookupProfileRequest request;
  request.set_username(username);
  return Lookup(request, std::move(context));
}

absl::StatusOr<v1::CompleteOnboardingResponse> BlockingStore::Complete(
    const v1::CompleteOnboardingRequest& request, CallContext context) {
  return CallAll<v1::CompleteOnboardingResponse, v1::CompleteOnboardingRequest>(
             store_, &ProfileStore::CompleteOnboarding, {request}, context)
      .front();
}

absl::StatusOr<v1::UpdateProfileResponse> BlockingStore::Update(
    const v1::UpdateProfileRequest& request) {
  return CallAll<v1::UpdateProfileResponse, v1::UpdateProfileRequest>(
             store_, &ProfileStore::UpdateProfile, {request}, {})
      .front();
}

absl::StatusOr<v1::DeleteUserResponse> BlockingStore::Delete(
    const v1::DeleteUserRequest& request) {
  return CallAll<v1::DeleteUserResponse, v1::DeleteUserRequest>(
             store_, &ProfileStore::DeleteUser, {request}, {})
      .front();
}

absl::StatusOr<v1::GetSessionResponse> BlockingStore::GetSession(
    const v1::GetSessionRequest& request, CallContext context) {
  return CallAll<v1::GetSessionResponse, v1::GetSessionRequest>(
             store_, &ProfileStore::GetSession, {request}, context)
      .front();
}

absl::StatusOr<v1::PutSessionResponse> BlockingStore::PutSession(
    const v1::PutSessionRequest& request) {
  return PutSessions({request}).front();
}

absl::StatusOr<v1::DeleteSessionResponse> BlockingStore::DeleteSession(
    const v1::DeleteSessionRequest& request) {
  return CallAll<v1::DeleteSessionResponse, v1::DeleteSessionRequest>(
             store_, &ProfileStore::DeleteSession, {request}, {})
      .front();
}

absl::StatusOr<ChangesCall::Page> BlockingStore::ReadChanges(ChangesCall call) {
  ChangesCall::Page page;
  call.page = &page;
  std::promise<absl::Status> done;
  store_.ReadChanges(std::move(call), {}, [&](absl::Status status) {
    done.set_value(std::move(status));
  });
  absl::Status status = done.get_future().get();
  if (!status.ok()) return status;
  return page;
}

std::vector<absl::StatusOr<v1::UpsertUserResponse>> BlockingStore::UpsertAll(
    const std::vector<v1::UpsertUserRequest>& requests) {
  return CallAll<v1::UpsertUserResponse, v1::UpsertUserRequest>(
      store_, &ProfileStore::Contact, requests, {});
}

std::vector<absl::StatusOr<v1::CompleteOnboardingResponse>>
BlockingStore::CompleteAll(
    const std::vector<v1::CompleteOnboardingRequest>& requests) {
  return CallAll<v1::CompleteOnboardingResponse, v1::CompleteOnboardingRequest>(
      store_, &ProfileStore::CompleteOnboarding, requests, {});
}

std::vector<absl::StatusOr<v1::DeleteUserResponse>> BlockingStore::DeleteAll(
    const std::vector<v1::DeleteUserRequest>& requests) {
  return CallAll<v1::DeleteUserResponse, v1::DeleteUserRequest>(
      store_, &ProfileStore::DeleteUser, requests, {});
}

std::vector<absl::StatusOr<v1::PutSessionResponse>> BlockingStore::PutSessions(
    const std::vector<v1::PutSessionRequest>& requests) {
  return CallAll<v1::PutSessionResponse, v1::PutSessionRequest>(
      store_, &ProfileStore::PutSession, requests, {});
}

}  // namespace userprofile::store
