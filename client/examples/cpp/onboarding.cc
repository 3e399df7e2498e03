#include "onboarding.h"

#include <userprofile/client/errors.h>

namespace {

constexpr struct {
  const char* field;
  const char* text;
} kQuestions[] = {
    {"real_name", "What is your name?"},
    {"nickname", "Which nickname shall others see?"},
    {"study_track", "What is your field of study?"},
    {"grade_year", "Which grade are you in?"},
};

std::string FieldOf(const std::string& question) {
  for (const auto& [field, text] : kQuestions) {
    if (!question.empty() && question.ends_with(text)) return field;
  }
  return "";
}

}  // namespace

absl::StatusOr<std::string> Onboarding::Reply(
    const userprofile::v1::UpsertUserResponse& contact, const std::string& text,
    const std::string& question) {
  const userprofile::v1::Profile& profile = contact.profile();
  const auto who = userprofile::client::RecognitionOf(contact);
  if (who == userprofile::client::Recognition::kOnboarded) {
    answers_.erase(profile.user_id());
    return "Welcome back, " + profile.real_name() + "!";
  }
  const auto [user, starts] = answers_.try_emplace(profile.user_id());
  Answers& answers = user->second;
  std::string field = FieldOf(question);
  for (const auto& [name, ask] : kQuestions) {
    if (field.empty() && !starts && !answers.contains(name)) field = name;
  }
  if (!field.empty() && !text.empty() && text[0] != '/') answers[field] = text;
  for (const auto& [name, ask] : kQuestions) {
    if (answers.contains(name)) continue;
    if (!starts) return ask;
    return (contact.created() ? "Hello! " : "Hello again! ") + std::string(ask);
  }
  return Complete(profile.user_id(), answers);
}

absl::StatusOr<std::string> Onboarding::Complete(std::int64_t user,
                                                 Answers& answers) {
  userprofile::v1::CompleteOnboardingRequest request;
  request.set_user_id(user);
  auto& given = *request.mutable_answers();
  given.set_real_name(answers["real_name"]);
  given.set_nickname(answers["nickname"]);
  given.set_study_track(answers["study_track"]);
  given.set_grade_year(answers["grade_year"]);
  const auto response = service_.CompleteOnboarding(request);
  if (response.ok()) {
    answers_.erase(user);
    return "Thank you, " + response->profile().real_name() +
           ". I will remember you.";
  }
  const std::string reason = userprofile::client::Reason(response.status());
  if (reason == "NICKNAME_TAKEN") {
    answers.erase("nickname");
    return "Somebody has this nickname already. " +
           std::string(kQuestions[1].text);
  }
  if (reason == "ALREADY_ONBOARDED") {
    return "You have told me all of this before.";
  }
  if (reason == "INVALID_FIELDS") {
    answers.clear();
    return "I can't store that. " + std::string(kQuestions[0].text);
  }
  return response.status();
}
