#include "server/store/complete_onboarding.h"

#include <array>
#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"

namespace userprofile::store {
namespace {

// The columns of kCompleteOnboarding behind those of a profile.
constexpr std::size_t kCompletedNow = kProfileColumns;

void AppendAnswer(const std::string& answer, postgres::ArrayLiteral& answers) {
  if (answer.empty()) {
    answers.AppendNull();
  } else {
    answers.AppendText(answer);
  }
}

// From the user's row, as it is now.
void Finish(const postgres::Rows& rows, std::size_t row,
            CompleteOnboardingOperation& operation) {
  v1::Profile* profile = operation.response->mutable_profile();
  ReadProfile(rows, row, profile);
  if (rows.Bool(row, kCompletedNow)) return;
  if (!profile->onboarding_completed()) {
    operation.result = RowRejected();  // by a foreign trigger or rule
    return;
  }
  operation.response->set_already_completed(true);
  if (!HoldsAnswers(*profile, operation.request.answers())) {
    operation.result = AlreadyOnboarded(profile->user_id());
  }
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

// PostgreSQL names the index, in quotes that go by its language.
bool CompleteOnboardingExecutor::SaysNicknameTaken(const absl::Status& error) {
  if (!absl::IsAlreadyExists(error)) return false;
  const absl::string_view message = error.message();
  const auto quotes = [&](std::size_t at) {
    return at < message.size() && message[at] != ' ' && message[at] != '_' &&
           !absl::ascii_isalnum(static_cast<unsigned char>(message[at]));
  };
  const absl::StatusOr<postgres::Rows> indexes = Query(kNicknameIndexes, {});
  if (!indexes.ok()) return false;
  for (std::size_t row = 0; row < indexes->size(); ++row) {
    const absl::string_view name = indexes->Text(row, 0);
    // Other words of the message may hold the name, too.
    for (std::size_t at = message.find(name); at != absl::string_view::npos;
         at = message.find(name, at + 1)) {
      if (quotes(at - 1) && quotes(at + name.size())) return true;
    }
  }
  return false;
}

absl::Status CompleteOnboardingExecutor::Execute(
    absl::Span<Operation* const> batch) {
  postgres::ArrayLiteral ids;
  std::array<postgres::ArrayLiteral, 6> answers;
  absl::flat_hash_map<std::int64_t, CompleteOnboardingOperation*> open;
  for (Operation* each : batch) {
    auto& operation = static_cast<CompleteOnboardingOperation&>(*each);
    const v1::OnboardingAnswers& given = operation.request.answers();
    ids.AppendInt64(operation.request.user_id());
    AppendAnswer(given.real_name(), answers[0]);
    AppendAnswer(given.nickname(), answers[1]);
    AppendAnswer(given.study_track(), answers[2]);
    AppendAnswer(given.grade_band(), answers[3]);
    AppendAnswer(given.grade_year(), answers[4]);
    AppendAnswer(given.phone(), answers[5]);
    open.emplace(operation.request.user_id(), &operation);
  }
  postgres::Parameters parameters = {ids.Finish()};
  for (auto& literal : answers) parameters.push_back(literal.Finish());
  parameters.push_back(SqlTime(clock_()));

  const absl::StatusOr<postgres::Rows> rows =
      Query(kCompleteOnboarding, parameters);
  if (batch.size() == 1 && SaysNicknameTaken(rows.status())) {
    batch[0]->result = NicknameTaken();
    return absl::OkStatus();
  }
  USERPROFILE_RETURN_IF_ERROR(rows.status());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const auto found = open.find(UserId(*rows, row));
    if (found == open.end()) continue;
    Finish(*rows, row, *found->second);
    open.erase(found);
  }
  for (const auto& [user_id, operation] : open) {
    operation->result = UserNotFound(user_id);
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
