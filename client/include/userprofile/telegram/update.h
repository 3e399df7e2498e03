#ifndef USERPROFILE_TELEGRAM_UPDATE_H_
#define USERPROFILE_TELEGRAM_UPDATE_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::telegram {

// Who contacts the bot with one update of the Bot API
// (https://core.telegram.org/bots/api#update), as the request that tells the
// service about it. nullopt if the update is nobody's contact: it is of a kind
// that has no author (a poll's state, a boost, deleted messages), or its author
// is a bot, a chat or one of Telegram's placeholders. Never somebody who is
// only mentioned: whose message is forwarded, answered to, or carries the
// button that was pressed. A kind that is not known here is the contact of its
// "from" or "user", if it has exactly one of them.
//
// In the request,
//   identity     first_name as given; last_name and username empty if the user
//                has none, which clears them; language_code absent if Telegram
//                does not tell it, for that says nothing about the user. What
//                the service would refuse is cut (names) or left out.
//   is_active    true for what shows that the bot can reach the user: a message
//                in their private chat, or when they unblock the bot; false
//                when they block it; absent otherwise.
//   is_active_if_new
//                false for what happens elsewhere than in their private chat:
//                in a group, inline, in a business' chats.
//   occurred_at  when it happened, if the update says so. Presses of buttons
//                and inline queries don't.
//   event_id     "BOT:UPDATE_ID" if `bot` says which bot was given the update,
//   by
//                its token, or by the id that this begins with; so that whoever
//                is new is so again when the bot is given the update again.
//                Every bot counts updates by itself: absent otherwise.
//
// Errors: INVALID_ARGUMENT, with the path of the field at fault and never its
// value, if a field that matters here is not of its type, or if the user's id
// or the time is impossible. Fields that don't matter may be anything, and a
// null is the same as an absent field.
absl::StatusOr<absl::optional<v1::UpsertUserRequest>> ContactOf(
    const nlohmann::json& update, absl::string_view bot = "");

}  // namespace userprofile::telegram

#endif  // USERPROFILE_TELEGRAM_UPDATE_H_
