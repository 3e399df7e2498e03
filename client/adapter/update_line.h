#ifndef USERPROFILE_CLIENT_ADAPTER_UPDATE_LINE_H_
#define USERPROFILE_CLIENT_ADAPTER_UPDATE_LINE_H_

#include <string>

#include "absl/types/optional.h"
#include "client/adapter/line_reader.h"
#include "client/adapter/outcome.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {

// What a line of the input asks for.
struct UpdateLine {
  // Final unless there is a contact.
  Outcome outcome;

  // What to tell the service.
  absl::optional<v1::UpsertUserRequest> contact;
};

// Reads a line. Accepts any bytes; those that are not an update make an error.
UpdateLine ReadUpdateLine(const Line& line);

// Reads an update that is no line of an input.
UpdateLine ReadUpdate(const std::string& text);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_UPDATE_LINE_H_
