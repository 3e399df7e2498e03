#ifndef USERPROFILE_CLIENT_ADAPTER_BOT_CALL_H_
#define USERPROFILE_CLIENT_ADAPTER_BOT_CALL_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "ops/http_server.h"

namespace userprofile::adapter {

inline constexpr char kUnknownBot[] = "?";

// What a bot's request to the Bot API is.
struct BotCall {
  std::string bot;  // its id, the part of the token that is no secret; or
                    // kUnknownBot
  std::string method = {};  // in small letters, as Telegram does not tell them
                            // apart; empty for a file, or another path
};
BotCall ReadBotCall(const ops::HttpRequest& request);

// An argument of a call that is a whole number: behind the path, or in a body
// that is a form, JSON or multipart. nullopt if there is none; what is no whole
// number (a channel's name) is none. In the begin of a body that is not
// `whole`, nothing is found if it is JSON.
absl::optional<std::int64_t> NumberArgument(const ops::HttpRequest& request,
                                            absl::string_view body,
                                            absl::string_view name,
                                            bool whole = true);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_BOT_CALL_H_
