#ifndef USERPROFILE_SERVER_API_UPDATE_MASK_H_
#define USERPROFILE_SERVER_API_UPDATE_MASK_H_

#include "absl/status/status.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {

// Leaves of an update's profile what is to be stored
// (https://google.aip.dev/134): beside user_id, of the answers and attributes
// those that update_mask names; without a mask those that are there. Of what is
// named and absent, answers become empty, a single attribute null, and
// attributes an empty object. To be done before the request is validated, for
// what the mask does not name does not count.
//
// INVALID_ARGUMENT with reason INVALID_FIELDS if the mask names something else.
absl::Status ApplyUpdateMask(v1::UpdateProfileRequest* request);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_UPDATE_MASK_H_
