#include "userprofile/telegram/update.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/text.h"
#include "client/telegram/object_reader.h"
#include "google/protobuf/descriptor.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::telegram {
namespace {

using Contact = absl::optional<v1::UpsertUserRequest>;

// Where the chat is told in which the user and the bot meet, if they do.
enum class Place {
  kElsewhere,  // nowhere: it is no such chat, or the update does not say
  kChat,       // in the update's own chat
  kButton,     // in that of the message under the button
};

constexpr std::size_t kMostDigits = 19;  // of a bot's id

// A kind of update that somebody is behind, and the fields that say who, when
// and where.
struct Kind {
  const char* name;
  const char* author;
  const char* time;  // nullptr: the update does not say
  Place place = Place::kElsewhere;
};

constexpr Kind kKinds[] = {
    {"message", "from", "date", Place::kChat},
    {"edited_message", "from", "edit_date", Place::kChat},
    {"channel_post", "from", "date"},
    {"edited_channel_post", "from", "edit_date"},
    // Its chat is that of the business with a customer.
    {"business_message", "from", "date"},
    {"edited_business_message", "from", "edit_date"},
    // Its date is that of the first connection, not of this change.
    {"business_connection", "user", nullptr},
    // The date of the message under the button is not that of the press.
    {"callback_query", "from", nullptr, Place::kButton},
    {"inline_query", "from", nullptr},
    {"chosen_inline_result", "from", nullptr},
    {"shipping_query", "from", nullptr},
    {"pre_checkout_query", "from", nullptr},
    {"purchased_paid_media", "from", nullptr},
    {"poll_answer", "user", nullptr},
    {"message_reaction", "user", "date"},
    {"my_chat_member", "from", "date", Place::kChat},
    {"chat_member", "from", "date"},
    {"chat_join_request", "from", "date"},
    // Its chat is one that the bot is no member of.
    {"guest_message", "from", "date"},
    {"managed_bot", "user", nullptr},
};

// Accounts that stand for "somebody" in groups and channels.
constexpr std::int64_t kPlaceholders[] = {
    1087968824,  // an anonymous administrator
    136817688,   // a channel
    777000,      // Telegram itself
};

// The text as the service takes it in a field of Identity; nullopt if it is to
// be left out.
//
// The service refuses a request as a whole if one text in it breaks the limits
// of its field. What Telegram reports is what it is, in every update of that
// user again: a strange name would lock its user out for ever. So names lose
// their control characters and are cut. A username is left out, for, cut, it
// could be somebody else's; and so is a language tag that is none, for it says
// nothing.
absl::optional<std::string> AcceptableText(
    const google::protobuf::FieldDescriptor& field, const std::string& text) {
  const v1::FieldLimits& limits = field.options().GetExtension(v1::limits);
  std::string fit = base::Fit(text, limits.max_code_points());
  const bool is_tag = limits.kind() == v1::FIELD_KIND_LANGUAGE_TAG;
  if (fit != text && (is_tag || limits.kind() == v1::FIELD_KIND_USERNAME)) {
    return absl::nullopt;
  }
  if (is_tag && !base::IsWellFormedLanguageTag(text)) return absl::nullopt;
  return fit;
}

void ReadIdentity(const ObjectReader& author, v1::Identity& identity) {
  const auto* type = v1::Identity::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const std::string& name = type->field(i)->name();
    auto text = author.Text(name.c_str());
    // Absent, these say that the user has none; the others say nothing.
    if (!text && (name == "last_name" || name == "username")) text = "";
    if (!text) continue;
    if (auto fit = AcceptableText(*type->field(i), *text)) {
      v1::Identity::GetReflection()->SetString(&identity, type->field(i),
                                               *std::move(fit));
    }
  }
}

// Whether the event is of the private chat of the user and the bot.
bool IsPrivate(Place place, const ObjectReader& event) {
  if (place == Place::kElsewhere) return false;
  if (place == Place::kButton) {
    const auto message = event.Object("message");
    return message && IsPrivate(Place::kChat, *message);
  }
  const auto chat = event.Object("chat");
  return chat && chat->Text("type") == "private";
}

// Whether the event shows that the bot can reach the user, in their private
// chat, or can't; nullopt if it shows neither: a button may be pressed, and an
// old message edited, by somebody who has blocked the bot.
absl::optional<bool> ReadIsActive(const Kind& kind, const ObjectReader& event) {
  const std::string name = kind.name;
  if (name == "message") return true;
  if (name != "my_chat_member") return {};
  const auto member = event.Object("new_chat_member");
  if (!member) return {};
  const auto status = member->Text("status");
  if (status == "member") return true;
  if (status == "kicked") return false;
  return {};
}

// Reads the contact out of the object under the update's kind.
Contact ReadContact(const Kind& kind, const ObjectReader& event) {
  // Written by a chat, or by a bot in a business account's name.
  if (event.Has("sender_chat") || event.Has("sender_business_bot")) return {};
  const auto author = event.Object(kind.author);
  if (!author || author->Bool("is_bot").value_or(false)) return {};

  v1::UpsertUserRequest request;
  const auto id = author->Integer("id");
  if (!id || *id < 1 || *id > base::kMaxUserId) {
    author->Fail("id", "is not a user id");
    return {};
  }
  if (std::find(std::begin(kPlaceholders), std::end(kPlaceholders), *id) !=
      std::end(kPlaceholders)) {
    return {};
  }
  request.set_user_id(*id);
  ReadIdentity(*author, *request.mutable_identity());

  if (!IsPrivate(kind.place, event)) {
    request.set_is_active_if_new(false);
  } else if (const auto is_active = ReadIsActive(kind, event)) {
    request.set_is_active(*is_active);
  }
  if (kind.time != nullptr) {
    const std::int64_t time = event.Integer(kind.time).value_or(0);
    if (time < 0 || time > base::kMaxTimestampSeconds)
      event.Fail(kind.time, "is not a time");
    // Telegram writes 0 for a time that it does not tell.
    if (time != 0) request.mutable_occurred_at()->set_seconds(time);
  }
  return request;
}

// Reads the contact out of an update of a kind that is not known here: of what
// looks like an event with one person behind it. What looks otherwise is
// nobody's, and no error.
Contact ReadUnknownContact(const nlohmann::json& update) {
  Contact contact;
  int authors = 0;
  for (const auto& [name, value] : update.items()) {
    if (!value.is_object()) continue;
    absl::Status error;
    const ObjectReader event(value, "", error);
    for (const char* author : {"from", "user"}) {
      const auto person = event.Object(author);
      if (!person) continue;
      ++authors;
      // Every user has that, and no chat.
      if (person->Bool("is_bot") != false) continue;
      contact = ReadContact({"", author, "date"}, event);
    }
    if (!error.ok()) return {};
  }
  return authors == 1 ? contact : absl::nullopt;
}

absl::StatusOr<Contact> ReadUpdate(const nlohmann::json& update) {
  if (!update.is_object()) {
    return absl::InvalidArgumentError("an update is a JSON object");
  }
  absl::Status error;
  const ObjectReader reader(update, "", error);
  for (const Kind& kind : kKinds) {
    if (!reader.Has(kind.name)) continue;
    Contact contact;
    if (const auto event = reader.Object(kind.name)) {
      contact = ReadContact(kind, *event);
    }
    if (!error.ok()) return error;
    return contact;  // an update is of one kind
  }
  return ReadUnknownContact(update);
}

// A bot's token begins with its id; or `bot` is the id alone.
std::string EventIdOf(const nlohmann::json& update, absl::string_view bot) {
  absl::Status error;
  const auto number = ObjectReader(update, "", error).Integer("update_id");
  bot = absl::StripAsciiWhitespace(bot);
  const absl::string_view id = bot.substr(0, bot.find(':'));
  const bool is_id = !id.empty() && id.size() <= kMostDigits && id[0] != '0' &&
                     std::all_of(id.begin(), id.end(), absl::ascii_isdigit);
  return number && is_id ? absl::StrCat(id, ":", *number) : "";
}

}  // namespace

absl::StatusOr<Contact> ContactOf(const nlohmann::json& update,
                                  absl::string_view bot) {
  absl::StatusOr<Contact> contact = ReadUpdate(update);
  if (contact.ok() && *contact) {
    (*contact)->set_event_id(EventIdOf(update, bot));
  }
  return contact;
}

}  // namespace userprofile::telegram
