#ifndef USERPROFILE_SERVER_SERVICE_VALIDATION_H_
#define USERPROFILE_SERVER_SERVICE_VALIDATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::service {

// Paths of text fields that did not arrive as valid UTF-8, such as
// "identity.first_name"; their values are lost. See request_parser.h.
using NotUtf8 = std::vector<std::string>;

// Checks a request against all limits that the API file states, and makes of it
// what the store expects: phone numbers in E.164 form, empty optional answers
// absent. On an error the request is unspecified.
//
// The error is INVALID_ARGUMENT with reason INVALID_FIELDS and a BadRequest
// that names every field at fault, in the order of the request's fields. It
// never holds a value. Thread-safe.
absl::Status Validate(v1::UpsertUserRequest* request,
                      const NotUtf8& not_utf8 = {});
absl::Status Validate(v1::GetProfileRequest* request,
                      const NotUtf8& not_utf8 = {});
absl::Status Validate(v1::CompleteOnboardingRequest* request,
                      const NotUtf8& not_utf8 = {});

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_VALIDATION_H_
