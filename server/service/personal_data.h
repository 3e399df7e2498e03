#ifndef USERPROFILE_SERVER_SERVICE_PERSONAL_DATA_H_
#define USERPROFILE_SERVER_SERVICE_PERSONAL_DATA_H_

#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::service {

// Takes out of a response what callers without Caller::pii may not know: phone
// and real_name. One for each response: a method whose response has none does
// not compile.

inline void WithholdPersonalData(v1::Profile* profile) {
  profile->clear_phone();
  profile->clear_real_name();
}

inline void WithholdPersonalData(v1::UpsertUserResponse* response) {
  if (response->has_profile())
    WithholdPersonalData(response->mutable_profile());
}

inline void WithholdPersonalData(v1::GetProfileResponse* response) {
  if (response->has_profile())
    WithholdPersonalData(response->mutable_profile());
}

inline void WithholdPersonalData(v1::CompleteOnboardingResponse* response) {
  if (response->has_profile())
    WithholdPersonalData(response->mutable_profile());
}

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_PERSONAL_DATA_H_
