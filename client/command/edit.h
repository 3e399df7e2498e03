#ifndef USERPROFILE_CLIENT_COMMAND_EDIT_H_
#define USERPROFILE_CLIENT_COMMAND_EDIT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::command {

// What "edit" was told.
struct EditArguments {
  std::string user_id = {};
  std::vector<std::string> set = {};  // "nickname=sara", "attributes.streak=3"
  std::vector<std::string> clear = {};  // "nickname", "attributes.streak"
  std::string if_revision = {};         // empty for any
  bool reset_onboarding = false;
};

// The request for it, with a mask that names what is set and cleared: answers,
// single attributes, or all of them by "attributes". INVALID_ARGUMENT, with a
// sentence, for what can't be changed, twice the same, or nothing at all.
absl::StatusOr<v1::UpdateProfileRequest> MakeUpdate(
    const EditArguments& arguments);

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_EDIT_H_
