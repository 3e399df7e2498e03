#include "server/store/fake_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/store/complete_onboarding.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/upsert_user.h"

namespace userprofile::store {
namespace {

// What PostgreSQL keeps of a time.
absl::Time ToMicros(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

absl::Status Verdict(const CallContext& context) {
  if (context.cancelled && context.cancelled()) return Cancelled();
  return base::SteadyTime::Now() < context.deadline ? absl::OkStatus()
                                                    : DeadlineExceeded();
}

}  // namespace

// Applies one field of an identity: absent keeps, empty clears.
#define APPLY(field)                                          \
  if (identity.has_##field()) {                               \
    changed = changed || profile.field() != identity.field(); \
    if (identity.field().empty()) {                           \
      profile.clear_##field();                                \
    } else {                                                  \
      profile.set_##field(identity.field());                  \
    }                                                         \
  }

FakeStore::FakeStore(base::Clock clock) : clock_(std::move(clock)) {}

void FakeStore::UpsertUser(const v1::UpsertUserRequest& request,
                           v1::UpsertUserResponse* response,
                           CallContext context, Done done) {
  const absl::Time now = ToMicros(clock_());
  if (absl::Status dead = Verdict(context); !dead.ok()) {
    return done(std::move(dead));
  }
  {
    base::MutexLock lock(mutex_);
    v1::Profile& profile = users_[request.user_id()];
    const bool created = profile.revision() == 0;
    const absl::Time occurred_at =
        ToMicros(FromTimestamp(request.occurred_at()));
    const bool dated =
        request.has_occurred_at() && occurred_at <= now + absl::Minutes(5);
    bool changed = created;
    if (!dated || !profile.has_last_activity() ||
        occurred_at >= FromTimestamp(profile.last_activity())) {
      const v1::Identity& identity = request.identity();
      APPLY(username)
      APPLY(first_name)
      APPLY(last_name)
      APPLY(language_code)
      if (created || request.has_is_active()) {
        const bool is_active = IsActiveIfNew(request);
        changed = changed || profile.is_active() != is_active;
        profile.set_is_active(is_active);
      }
      if (dated) SetTimestamp(occurred_at, profile.mutable_last_activity());
    }
    if (created) {
      profile.set_user_id(request.user_id());
      SetTimestamp(now, profile.mutable_created_at());
    }
    if (changed) SetTimestamp(now, profile.mutable_updated_at());
    SetTimestamp(now, profile.mutable_last_seen_at());
    profile.set_revision(profile.revision() + 1);
    *response->mutable_profile() = profile;
    response->set_created(created);
  }
  done(absl::OkStatus());
}

void FakeStore::GetProfile(const v1::GetProfileRequest& request,
                           v1::GetProfileResponse* response,
                           CallContext context, Done done) {
  absl::Status status = Verdict(context);
  if (status.ok()) {
    base::MutexLock lock(mutex_);
    const auto user = users_.find(request.user_id());
    if (user == users_.end()) {
      status = UserNotFound(request.user_id());
    } else {
      *response->mutable_profile() = user->second;
    }
  }
  done(std::move(status));
}

void FakeStore::CompleteOnboarding(const v1::CompleteOnboardingRequest& request,
                                   v1::CompleteOnboardingResponse* response,
                                   CallContext context, Done done) {
  absl::Status status = Verdict(context);
  if (status.ok()) {
    base::MutexLock lock(mutex_);
    status = Complete(request, response);
  }
  done(std::move(status));
}

absl::Status FakeStore::Complete(const v1::CompleteOnboardingRequest& request,
                                 v1::CompleteOnboardingResponse* response) {
  const v1::OnboardingAnswers& answers = request.answers();
  const auto user = users_.find(request.user_id());
  if (user == users_.end()) return UserNotFound(request.user_id());
  v1::Profile& profile = user->second;
  if (profile.onboarding_completed()) {
    if (!HoldsAnswers(profile, answers)) {
      return AlreadyOnboarded(request.user_id());
    }
    *response->mutable_profile() = profile;
    response->set_already_completed(true);
    return absl::OkStatus();
  }
  for (const auto& [id, other] : users_) {
    if (other.nickname() == answers.nickname() && id != request.user_id()) {
      return NicknameTaken();
    }
  }
  profile.set_onboarding_completed(true);
  profile.set_real_name(answers.real_name());
  profile.set_nickname(answers.nickname());
  const auto keep_or_set = [](const std::string& answer, auto set) {
    if (!answer.empty()) set(answer);
  };
  keep_or_set(answers.study_track(),
              [&](const auto& a) { profile.set_study_track(a); });
  keep_or_set(answers.grade_band(),
              [&](const auto& a) { profile.set_grade_band(a); });
  keep_or_set(answers.grade_year(),
              [&](const auto& a) { profile.set_grade_year(a); });
  keep_or_set(answers.phone(), [&](const auto& a) { profile.set_phone(a); });
  const absl::Time now = ToMicros(clock_());
  SetTimestamp(now, profile.mutable_updated_at());
  SetTimestamp(now, profile.mutable_last_seen_at());
  profile.set_revision(profile.revision() + 1);
  *response->mutable_profile() = profile;
  return absl::OkStatus();
}

}  // namespace userprofile::store
