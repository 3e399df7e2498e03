#ifndef USERPROFILE_CLIENT_ADAPTER_UPDATE_LINE_H_
#define USERPROFILE_CLIENT_ADAPTER_UPDATE_LINE_H_

#include <string>

#include <nlohmann/json.hpp>

#include "absl/types/optional.h"
#include "client/adapter/line_reader.h"
#include "client/adapter/outcome.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {

// What an update, or a line of the input, asks for.
struct UpdateLine {
  // Final unless there is a contact.
  Outcome outcome;

  // What to tell the service.
  absl::optional<v1::UpsertUserRequest> contact;

  // What to pass on to a bot: valid JSON. Not kept of a line.
  std::string text;
};

// Reads a line. Accepts any bytes; those that are not an update make an error.
UpdateLine ReadUpdateLine(Line line);

// Reads an update that is no line of an input, from its text or once it is
// parsed.
UpdateLine ReadUpdate(std::string text);
UpdateLine ReadUpdate(const nlohmann::json& update);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_UPDATE_LINE_H_
