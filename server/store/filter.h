#ifndef USERPROFILE_SERVER_STORE_FILTER_H_
#define USERPROFILE_SERVER_STORE_FILTER_H_

#include "server/postgres/session.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::store {

// Appends what the part {filter} of statements (server/store/statements.cc)
// takes as $3 to $16.
void AddFilter(const v1::ProfileFilter& filter,
               postgres::Parameters& parameters);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_FILTER_H_
