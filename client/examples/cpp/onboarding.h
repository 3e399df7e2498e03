#ifndef EXAMPLE_ONBOARDING_H_
#define EXAMPLE_ONBOARDING_H_

#include <cstdint>
#include <map>
#include <string>

#include <userprofile/client/profile_client.h>

// What the bot says to whom. What was answered so far is kept in memory alone:
// if the bot is killed within a conversation, it asks what it forgot once more.
// A finished conversation is the service's, and is never forgotten.
class Onboarding {
 public:
  explicit Onboarding(userprofile::client::ProfileClient& service)
      : service_(service) {}

  // The bot's reply to a text of the user whom `contact` told the service of;
  // `question` is the bot's own message that the text replies to, if it does.
  // An error if the answers could not be stored now.
  absl::StatusOr<std::string> Reply(
      const userprofile::v1::UpsertUserResponse& contact,
      const std::string& text, const std::string& question);

 private:
  using Answers = std::map<std::string, std::string>;

  absl::StatusOr<std::string> Complete(std::int64_t user, Answers& answers);

  userprofile::client::ProfileClient& service_;
  std::map<std::int64_t, Answers> answers_;  // by user
};

#endif  // EXAMPLE_ONBOARDING_H_
