#include "userprofile/client/recognition.h"

namespace userprofile::client {

const char* RecognitionName(Recognition recognition) {
  switch (recognition) {
    case Recognition::kNew:
      return "new";
    case Recognition::kReturning:
      return "returning";
    case Recognition::kOnboarded:
      return "onboarded";
  }
  return "";
}

Recognition RecognitionOf(const v1::UpsertUserResponse& response) {
  if (response.created()) return Recognition::kNew;
  return response.profile().onboarding_completed() ? Recognition::kOnboarded
                                                   : Recognition::kReturning;
}

}  // namespace userprofile::client
