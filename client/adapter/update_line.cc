#include "client/adapter/update_line.h"

#include <utility>

#include "client/adapter/json_text.h"
#include "client/telegram/object_reader.h"
#include "userprofile/telegram/update.h"

namespace userprofile::adapter {
namespace {

void Read(const nlohmann::json& update, UpdateLine& result) {
  Outcome& outcome = result.outcome;
  if (update.is_discarded()) {
    outcome.SetError("INVALID_JSON", "the line is not one JSON value");
    return;
  }
  if (!update.is_object()) {
    outcome.SetError("INVALID_UPDATE", "an update is a JSON object");
    return;
  }
  absl::Status error;
  outcome.update_id =
      telegram::ObjectReader(update, "", error).Integer("update_id");
  if (!outcome.update_id) {
    outcome.SetError("INVALID_UPDATE",
                     error.ok() ? "update_id is missing" : error.message());
    return;
  }
  auto contact = telegram::ContactOf(update);
  if (!contact.ok()) {
    outcome.SetError("INVALID_UPDATE", contact.status().message());
    return;
  }
  result.contact = *std::move(contact);
  if (result.contact) outcome.user_id = result.contact->user_id();
}

}  // namespace

UpdateLine ReadUpdateLine(Line line) {
  UpdateLine result;
  result.outcome.line = line.number;
  if (line.too_long) {
    result.outcome.SetError("LINE_TOO_LONG",
                            "the line is longer than any update");
  } else {
    Read(ParseJson(line.text), result);
  }
  return result;
}

UpdateLine ReadUpdate(std::string text) {
  UpdateLine result;
  Read(ParseJson(text), result);
  result.text = std::move(text);
  return result;
}

UpdateLine ReadUpdate(const nlohmann::json& update) {
  UpdateLine result;
  Read(update, result);
  result.text =
      update.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return result;
}

}  // namespace userprofile::adapter
