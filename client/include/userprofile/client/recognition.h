#ifndef USERPROFILE_CLIENT_RECOGNITION_H_
#define USERPROFILE_CLIENT_RECOGNITION_H_

#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::client {

// The answer to the one question that bots ask: who is this?
//
// What to do with it: greet a kOnboarded user, and ask everybody else the
// onboarding questions. The difference between the other two is for counting
// newcomers: if the answer to a first contact was lost and the call repeated, a
// new user may be kReturning. The reverse never happens: nobody who was known
// before is ever kNew.
enum class Recognition {
  kNew,        // this contact created the user
  kReturning,  // known, but the onboarding is not complete
  kOnboarded,  // known, with onboarding completed
};

// "new", "returning" or "onboarded".
const char* RecognitionName(Recognition recognition);

// What the service's answer to a contact says.
Recognition RecognitionOf(const v1::UpsertUserResponse& response);

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_RECOGNITION_H_
