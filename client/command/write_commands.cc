#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/command/commands.h"
#include "client/command/edit.h"
#include "client/command/errors.h"
#include "client/command/output.h"
#include "client/command/values.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::command {
namespace {

constexpr char kEditHelp[] =
    R"(NAME is an answer (real_name, nickname, study_track, grade_band, grade_year,
phone), attributes.KEY for the attribute with that key, or attributes for all of
them. An attribute's VALUE is JSON, such as 3, true, "3" or ["a"]; what is no
JSON, such as Shiraz, is text. Prints the user as stored then.

Example:
  userprofile edit 101 --set nickname=sara-a --set attributes.streak=3 \
    --clear phone --if-revision 7)";

struct EditOptions : CommonOptions {
  EditArguments arguments;
};

int Edit(const EditOptions& options) {
  const auto request = MakeUpdate(options.arguments);
  if (!request.ok()) return Fail(request.status());
  return RunWith(options, [&](client::ProfileClient& client, Output& output) {
    const auto response = client.UpdateProfile(*request);
    if (!response.ok()) return response.status();
    Profiles stored;
    *stored.Add() = response->profile();
    output.WriteProfiles(stored);
    return absl::OkStatus();
  });
}

struct DeleteOptions : CommonOptions {
  std::string user_id;
  std::string if_revision;
  bool if_exists = false;
  bool yes = false;
};

absl::StatusOr<v1::DeleteUserRequest> MakeDelete(const DeleteOptions& options) {
  v1::DeleteUserRequest request;
  const auto user_id = ParseUserId(options.user_id);
  if (!user_id.ok()) return user_id.status();
  request.set_user_id(*user_id);
  request.set_allow_missing(options.if_exists);
  if (!options.if_revision.empty()) {
    const auto revision = ParseRevision(options.if_revision);
    if (!revision.ok()) return revision.status();
    request.set_expected_revision(*revision);
  }
  return request;
}

// OK if a person at the terminal agrees.
absl::Status Ask(const std::string& question) {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) {
    return absl::InvalidArgumentError(
        "there is no terminal to ask at; say --yes to delete without a "
        "question");
  }
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") {
    return absl::OkStatus();
  }
  return absl::CancelledError("nothing was deleted");
}

int Delete(const DeleteOptions& options) {
  const auto request = MakeDelete(options);
  if (!request.ok()) return Fail(request.status());
  if (!options.yes) {
    const absl::Status agreed = Ask(absl::StrCat(
        "Delete all that is known of user ", request->user_id(), "?"));
    if (!agreed.ok()) return Fail(agreed);
  }
  return RunWith(options, [&](client::ProfileClient& client, Output& output) {
    const auto response = client.DeleteUser(*request);
    if (!response.ok()) return response.status();
    output.WriteSentence(
        absl::StrCat("Nothing is known of user ", request->user_id(), " now."));
    return absl::OkStatus();
  });
}

void AddIfRevision(ops::Command command, std::string& revision) {
  ops::AddFlag(command, "--if-revision", revision,
               "Only if this is the revision that is stored")
      .TypeName("NUMBER")
      .OnlyHere();
}

}  // namespace

void AddEditCommand(ops::CommandLine& command_line) {
  const ops::Command command =
      command_line.AddCommand(command_line.root(), "edit",
                              "Change what a user answered, or attributes");
  command.Footer(kEditHelp);
  const auto options = std::make_shared<EditOptions>();
  EditArguments& arguments = options->arguments;
  ops::AddArgument(command, "USER_ID", arguments.user_id,
                   "The Telegram user id");
  ops::AddListFlag(command, "--set", arguments.set,
                   "What to store; may be given again")
      .TypeName("NAME=VALUE")
      .OnlyHere();
  ops::AddListFlag(command, "--clear", arguments.clear,
                   "What to leave empty; may be given again")
      .TypeName("NAME")
      .OnlyHere();
  ops::AddSwitch(command, "--reset-onboarding", arguments.reset_onboarding,
                 "Let the user answer the onboarding questions again")
      .OnlyHere();
  AddIfRevision(command, arguments.if_revision);
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return Edit(*options); });
}

void AddDeleteCommand(ops::CommandLine& command_line) {
  const ops::Command command =
      command_line.AddCommand(command_line.root(), "delete",
                              "Forget a user, who is new if they write again");
  const auto options = std::make_shared<DeleteOptions>();
  ops::AddArgument(command, "USER_ID", options->user_id,
                   "The Telegram user id");
  ops::AddSwitch(command, "--if-exists", options->if_exists,
                 "It is fine that there is no such user")
      .OnlyHere();
  AddIfRevision(command, options->if_revision);
  ops::AddSwitch(command, "--yes", options->yes, "Do not ask").OnlyHere();
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return Delete(*options); });
}

}  // namespace userprofile::command
