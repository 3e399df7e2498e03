#include "server/store/complete_onboarding.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "server/base/status_macros.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"

namespace userprofile::store {
namespace {

// What the names of unique indexes on nickname have in common: a legacy table
// can have another one beside that of the schema contract.
constexpr char kNicknameIndex[] = "nickname";

absl::optional<std::string> NullIfEmpty(const std::string& answer) {
  if (answer.empty()) return absl::nullopt;
  return answer;
}

}  // namespace

bool HoldsAnswers(const v1::Profile& profile,
                  const v1::OnboardingAnswers& answers) {
  const auto holds = [](const std::string& stored, const std::string& answer) {
    return answer.empty() || answer == stored;
  };
  return holds(profile.real_name(), answers.real_name()) &&
         holds(profile.nickname(), answers.nickname()) &&
         holds(profile.study_track(), answers.study_track()) &&
         holds(profile.grade_band(), answers.grade_band()) &&
         holds(profile.grade_year(), answers.grade_year()) &&
         holds(profile.phone(), answers.phone());
}

CompleteOnboardingExecutor::CompleteOnboardingExecutor(
    postgres::SessionFactory connect, base::Clock clock)
    : SessionExecutor(std::move(connect)), clock_(std::move(clock)) {}

absl::Status CompleteOnboardingExecutor::Execute(
    absl::Span<Operation* const> batch) {
  for (Operation* operation : batch) {
    USERPROFILE_RETURN_IF_ERROR(
        ExecuteOne(static_cast<CompleteOnboardingOperation&>(*operation)));
  }
  return absl::OkStatus();
}

absl::Status CompleteOnboardingExecutor::ExecuteOne(
    CompleteOnboardingOperation& operation) {
  const std::int64_t user_id = operation.request.user_id();
  const v1::OnboardingAnswers& answers = operation.request.answers();
  const absl::StatusOr<postgres::Rows> written = Query(
      kCompleteOnboarding,
      {absl::StrCat(user_id), NullIfEmpty(answers.real_name()),
       NullIfEmpty(answers.nickname()), NullIfEmpty(answers.study_track()),
       NullIfEmpty(answers.grade_band()), NullIfEmpty(answers.grade_year()),
       NullIfEmpty(answers.phone()), SqlTime(clock_())});
  if (absl::IsAlreadyExists(written.status()) &&
      absl::StrContains(written.status().message(), kNicknameIndex)) {
    operation.result = NicknameTaken();
    return absl::OkStatus();
  }
  USERPROFILE_RETURN_IF_ERROR(written.status());
  v1::Profile* profile = operation.response->mutable_profile();
  if (!written->empty()) {
    ReadProfile(*written, 0, profile);
    return absl::OkStatus();
  }

  // Unknown, or completed before. A statement of its own, for the first one's
  // snapshot may be older than the completion that it waited for.
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows stored,
      Query(kGetProfiles, {absl::StrCat("{", user_id, "}")}));
  if (stored.empty()) {
    operation.result = UserNotFound(user_id);
    return absl::OkStatus();
  }
  ReadProfile(stored, 0, profile);
  if (!profile->onboarding_completed()) {
    profile->Clear();
    return absl::AbortedError("the user came between two statements");
  }
  operation.response->set_already_completed(true);
  if (!HoldsAnswers(*profile, answers)) {
    operation.result = AlreadyOnboarded(user_id);
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
