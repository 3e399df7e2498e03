#ifndef USERPROFILE_SERVER_APP_USER_FILE_H_
#define USERPROFILE_SERVER_APP_USER_FILE_H_

#include <cstdint>
#include <deque>
#include <istream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/store/import.h"

namespace userprofile::app {

// How a file of users is written.
struct UserFileOptions {
  // RFC 4180, with a header; else an object of JSON a line.
  bool csv = false;

  // What the file calls a field of Profile, and the name of that; others it
  // calls by their names.
  std::map<std::string, std::string> fields;

  // What is passed by.
  std::set<std::string> skipped;

  // No time is later.
  absl::Time latest = absl::InfiniteFuture();
};

// A user of the file.
struct UserOfFile {
  std::int64_t line = 0;  // of JSON, or row of CSV; the first is 1

  // Nobody, if it can't be told who it is.
  absl::optional<store::ImportedUser> user;

  // What was left out, and why: "phone must be ...", without a value.
  std::vector<std::string> faults;
};

// Reads users who were known to another system, one after the other: a value
// for each field of v1::Profile, by its name. Empty text and null are no value.
// Times, since 2013, are RFC 3339, "2025-10-01 08:00:00" in UTC, or seconds or
// milliseconds since 1970;
// attributes are an object of JSON. What this service alone knows is passed by:
// revision, updated_at and created_by_event. What has a value that the API
// would refuse is left out. A name of no field ends the reading: it may be what
// the file is about.
class UserFile {
 public:
  // `in` must outlive it.
  UserFile(std::istream& in, UserFileOptions options);
  ~UserFile();

  // The next user; nullopt at the end, or once there is an error.
  absl::optional<UserOfFile> Next();

  // INVALID_ARGUMENT if the file is none of such users; UNAVAILABLE if it can't
  // be read.
  const absl::Status& status() const { return status_; }

 private:
  using Values = std::vector<std::pair<std::string, std::string>>;
  class Csv;

  // The values of the next user, or what is wrong with them; nullopt as Next().
  struct Record {
    Values values;
    std::string fault = {};
  };
  absl::optional<Record> NextObject();
  absl::optional<Record> NextRow();

  UserOfFile Read(Record record);

  std::istream& in_;
  const UserFileOptions options_;
  const std::unique_ptr<Csv> csv_;
  std::vector<std::string> header_;
  std::int64_t line_ = 0;
  absl::Status status_;
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_USER_FILE_H_
