#ifndef USERPROFILE_SERVER_API_LIST_PROFILES_H_
#define USERPROFILE_SERVER_API_LIST_PROFILES_H_

#include "absl/time/time.h"
#include "server/api/method.h"

namespace userprofile::api {

// The methods that go through the table, by one bounded part of it after
// another. Between two parts others get their turn, so a filter that lets
// nobody pass keeps nobody waiting for long.
//
// A page ends once it is full or has as many bytes as an answer may have; and,
// so that what was found is not lost, after `patience`, or half of the caller's
// time if that is less.
MethodRow ListProfilesRow(absl::Duration patience);
MethodRow CountProfilesRow();

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_LIST_PROFILES_H_
