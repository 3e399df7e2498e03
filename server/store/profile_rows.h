#ifndef USERPROFILE_SERVER_STORE_PROFILE_ROWS_H_
#define USERPROFILE_SERVER_STORE_PROFILE_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/postgres/rows.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::store {

// The user id of a row that a statement of statements.h returned.
std::int64_t UserId(const postgres::Rows& rows, std::size_t row);

// Fills `profile`, which is empty, from such a row; but for unwanted columns,
// by their places among users::Columns(), if there are any.
void ReadProfile(const postgres::Rows& rows, std::size_t row,
                 v1::Profile* profile, const std::vector<bool>& unwanted = {});

// Microseconds are all that PostgreSQL keeps; a message holds the years 1 to
// 9999, and what is outside becomes the nearest that it can hold.
void SetTimestamp(absl::Time time, google::protobuf::Timestamp* timestamp);
void SetSeconds(double since_1970, google::protobuf::Timestamp* timestamp);
absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp);

// A time as a parameter of type timestamptz, and an object as one of type
// jsonb.
std::string SqlTime(absl::Time time);
std::string SqlObject(const google::protobuf::Struct& object);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_PROFILE_ROWS_H_
