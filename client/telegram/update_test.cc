#include "userprofile/telegram/update.h"

#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace userprofile::telegram {
namespace {

using ::google::protobuf::TextFormat;
using ::google::protobuf::util::MessageDifferencer;

constexpr char kAda[] =
    R"({"id": 12345, "is_bot": false, "first_name": "Ada",
        "last_name": "Lovelace", "username": "ada", "language_code": "en",
        "is_premium": true})";
constexpr char kAdaRequest[] =
    R"(user_id: 12345 identity { first_name: "Ada" last_name: "Lovelace"
       username: "ada" language_code: "en" })";
constexpr char kGroup[] =
    R"({"id": -1001, "type": "supergroup", "title": "G"})";

// Replaces $ADA, $CHAT and $GROUP by JSON.
std::string Expand(std::string text) {
  const std::pair<std::string, std::string> words[] = {
      {"$ADA", kAda},
      {"$CHAT", R"({"id": 12345, "type": "private", "first_name": "Ada"})"},
      {"$GROUP", kGroup},
      {"$BOT", R"({"id": 99, "is_bot": true, "first_name": "Bot"})"},
  };
  for (const auto& [word, value] : words) {
    for (auto at = text.find(word); at != std::string::npos;
         at = text.find(word)) {
      text.replace(at, word.size(), value);
    }
  }
  return text;
}

absl::StatusOr<absl::optional<v1::UpsertUserRequest>> Parse(
    const std::string& update) {
  return ContactOf(nlohmann::json::parse(Expand(update)));
}

struct ContactCase {
  const char* label;
  const char* update;
  const char* expected;  // after kAdaRequest
};

void PrintTo(const ContactCase& c, std::ostream* os) { *os << c.label; }

class ContactTest : public testing::TestWithParam<ContactCase> {};

TEST_P(ContactTest, IsFoundWithIdentityAndTime) {
  const auto contact = Parse(GetParam().update);
  ASSERT_TRUE(contact.ok()) << contact.status();
  ASSERT_TRUE(contact->has_value());
  v1::UpsertUserRequest expected;
  ASSERT_TRUE(TextFormat::ParseFromString(
      std::string(kAdaRequest) + GetParam().expected, &expected));
  EXPECT_TRUE(MessageDifferencer::Equals(**contact, expected))
      << (*contact)->DebugString();
}

const ContactCase kContacts[] = {
    {"Message",
     R"({"update_id": 1, "message": {"message_id": 7, "from": $ADA,
         "chat": $CHAT, "date": 1760860800, "text": "/start",
         "entities": [{"offset": 0, "length": 6, "type": "bot_command"}]}})",
     "is_active: true occurred_at { seconds: 1760860800 }"},
    {"ForwardedMessageIsTheForwardersContact",
     R"({"update_id": 1, "message": {"message_id": 7, "from": $ADA,
         "chat": $CHAT, "date": 1760860800, "forward_date": 1600000000,
         "forward_from": {"id": 5, "is_bot": false, "first_name": "Other"},
         "forward_origin": {"type": "user", "date": 1600000000,
           "sender_user": {"id": 5, "is_bot": false, "first_name": "Other"}},
         "text": "x"}})",
     "is_active: true occurred_at { seconds: 1760860800 }"},
    {"ReplyIsTheAnswerersContact",
     R"({"update_id": 1, "message": {"message_id": 7, "from": $ADA,
         "chat": $GROUP, "date": 1760860800, "text": "x",
         "reply_to_message": {"message_id": 6, "from": $BOT, "chat": $GROUP,
           "sender_chat": $GROUP, "date": 1700000000, "text": "y"}}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"MessageThroughAnInlineBot",
     R"({"update_id": 1, "message": {"message_id": 7, "from": $ADA,
         "via_bot": $BOT, "chat": $CHAT, "date": 1760860800, "text": "x"}})",
     "is_active: true occurred_at { seconds: 1760860800 }"},
    {"EditedMessageHappensWhenItIsEdited",
     R"({"update_id": 1, "edited_message": {"message_id": 7, "from": $ADA,
         "chat": $CHAT, "date": 1760860800, "edit_date": 1760860900,
         "text": "x"}})",
     "occurred_at { seconds: 1760860900 }"},
    {"EditedMessageWithoutEditDate",
     R"({"update_id": 1, "edited_message": {"message_id": 7, "from": $ADA,
         "chat": $CHAT, "date": 1760860800, "text": "x"}})",
     ""},
    {"ChannelPostOfAPerson",
     R"({"update_id": 1, "channel_post": {"message_id": 7, "from": $ADA,
         "chat": {"id": -1002, "type": "channel", "title": "C"},
         "date": 1760860800, "text": "x"}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"EditedChannelPostOfAPerson",
     R"({"update_id": 1, "edited_channel_post": {"message_id": 7,
         "from": $ADA, "date": 1760860800, "edit_date": 1760860900,
         "chat": {"id": -1002, "type": "channel", "title": "C"}}})",
     "is_active_if_new: false occurred_at { seconds: 1760860900 }"},
    {"BusinessMessage",
     R"({"update_id": 1, "business_message": {"message_id": 7, "from": $ADA,
         "business_connection_id": "b", "chat": $CHAT, "date": 1760860800,
         "text": "x"}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"EditedBusinessMessage",
     R"({"update_id": 1, "edited_business_message": {"message_id": 7,
         "from": $ADA, "business_connection_id": "b", "chat": $CHAT,
         "date": 1760860800, "edit_date": 1760860900, "text": "x"}})",
     "is_active_if_new: false occurred_at { seconds: 1760860900 }"},
    {"BusinessConnectionKeepsItsFirstDate",
     R"({"update_id": 1, "business_connection": {"id": "b", "user": $ADA,
         "user_chat_id": 12345, "date": 1760860800, "can_reply": true,
         "is_enabled": false}})",
     "is_active_if_new: false"},
    {"CallbackQueryIsThePressersContactAndHasNoTime",
     R"({"update_id": 1, "callback_query": {"id": "4382bfdwdsb323b2d9",
         "from": $ADA, "message": {"message_id": 7, "from": $BOT,
           "chat": $CHAT, "date": 1600000000, "text": "x"},
         "chat_instance": "-3", "data": "yes"}})",
     ""},
    {"InlineQuery",
     R"({"update_id": 1, "inline_query": {"id": "1", "from": $ADA,
         "query": "x", "offset": "", "chat_type": "sender"}})",
     "is_active_if_new: false"},
    {"ChosenInlineResult",
     R"({"update_id": 1, "chosen_inline_result": {"result_id": "1",
         "from": $ADA, "query": "x"}})",
     "is_active_if_new: false"},
    {"ShippingQuery",
     R"({"update_id": 1, "shipping_query": {"id": "1", "from": $ADA,
         "invoice_payload": "p", "shipping_address": {"country_code": "IR",
           "state": "", "city": "Tehran", "street_line1": "1",
           "street_line2": "", "post_code": "1"}}})",
     "is_active_if_new: false"},
    {"PreCheckoutQuery",
     R"({"update_id": 1, "pre_checkout_query": {"id": "1", "from": $ADA,
         "currency": "XTR", "total_amount": 1, "invoice_payload": "p"}})",
     "is_active_if_new: false"},
    {"PurchasedPaidMedia",
     R"({"update_id": 1, "purchased_paid_media": {"from": $ADA,
         "paid_media_payload": "p"}})",
     "is_active_if_new: false"},
    {"PollAnswer",
     R"({"update_id": 1, "poll_answer": {"poll_id": "1", "user": $ADA,
         "option_ids": [0]}})",
     "is_active_if_new: false"},
    {"MessageReaction",
     R"({"update_id": 1, "message_reaction": {"chat": $GROUP,
         "message_id": 7, "user": $ADA, "date": 1760860800,
         "old_reaction": [], "new_reaction": [{"type": "emoji",
           "emoji": "\ud83d\udc4d"}]}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"UserBlocksTheBot",
     R"({"update_id": 1, "my_chat_member": {"chat": $CHAT, "from": $ADA,
         "date": 1760860800,
         "old_chat_member": {"user": $BOT, "status": "member"},
         "new_chat_member": {"user": $BOT, "status": "kicked",
           "until_date": 0}}})",
     "is_active: false occurred_at { seconds: 1760860800 }"},
    {"UserUnblocksTheBot",
     R"({"update_id": 1, "my_chat_member": {"chat": $CHAT, "from": $ADA,
         "date": 1760860800,
         "old_chat_member": {"user": $BOT, "status": "kicked"},
         "new_chat_member": {"user": $BOT, "status": "member"}}})",
     "is_active: true occurred_at { seconds: 1760860800 }"},
    {"BotThrownOutOfAGroupIsNotBlocked",
     R"({"update_id": 1, "my_chat_member": {"chat": $GROUP, "from": $ADA,
         "date": 1760860800,
         "old_chat_member": {"user": $BOT, "status": "member"},
         "new_chat_member": {"user": $BOT, "status": "kicked"}}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"ChatMemberIsTheContactOfWhoActed",
     R"({"update_id": 1, "chat_member": {"chat": $GROUP, "from": $ADA,
         "date": 1760860800,
         "old_chat_member": {"status": "member",
           "user": {"id": 5, "is_bot": false, "first_name": "Other"}},
         "new_chat_member": {"status": "kicked",
           "user": {"id": 5, "is_bot": false, "first_name": "Other"}}}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"ChatJoinRequest",
     R"({"update_id": 1, "chat_join_request": {"chat": $GROUP, "from": $ADA,
         "user_chat_id": 12345, "date": 1760860800, "bio": "x"}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"NullsAndUnknownFieldsDoNotMatter",
     R"({"update_id": 1, "edited_message": null, "new_in_2030": [1],
         "message": {"from": $ADA, "sender_chat": null, "date": 0,
           "text": {"no": "text"}, "chat": $GROUP}})",
     "is_active_if_new: false"},
    {"CallbackQueryInAGroup",
     R"({"update_id": 1, "callback_query": {"id": "1", "from": $ADA,
         "message": {"message_id": 7, "from": $BOT, "chat": $GROUP,
           "date": 0}, "data": "yes"}})",
     "is_active_if_new: false"},
    {"CallbackQueryOfAnInlineMessage",
     R"({"update_id": 1, "callback_query": {"id": "1", "from": $ADA,
         "inline_message_id": "7", "data": "yes"}})",
     "is_active_if_new: false"},
    {"MessageInAGroup",
     R"({"update_id": 1, "message": {"from": $ADA, "chat": $GROUP,
         "date": 1760860800}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"GuestMessage",
     R"({"update_id": 1, "guest_message": {"from": $ADA, "chat": $CHAT,
         "date": 1760860800, "guest_query_id": "1"}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
    {"ManagedBot",
     R"({"update_id": 1, "managed_bot": {"user": $ADA, "bot": $BOT}})",
     "is_active_if_new: false"},
    {"UnknownKindWithAUser",
     R"({"update_id": 1, "other": {"x": 1}, "telepathy": {"user": $ADA}})",
     "is_active_if_new: false"},
    {"UnknownKindWithADate",
     R"({"update_id": 1, "telepathy": {"from": $ADA, "date": 1760860800,
         "chat": $CHAT}})",
     "is_active_if_new: false occurred_at { seconds: 1760860800 }"},
};

INSTANTIATE_TEST_SUITE_P(Updates, ContactTest, testing::ValuesIn(kContacts),
                         [](const auto& info) { return info.param.label; });

struct NobodyCase {
  const char* label;
  const char* update;
};

void PrintTo(const NobodyCase& c, std::ostream* os) { *os << c.label; }

class NobodyTest : public testing::TestWithParam<NobodyCase> {};

TEST_P(NobodyTest, IsNobodysContact) {
  const auto contact = Parse(GetParam().update);
  ASSERT_TRUE(contact.ok()) << contact.status();
  EXPECT_FALSE(contact->has_value());
}

const NobodyCase kNobody[] = {
    {"AnonymousAdministrator",
     R"({"update_id": 1, "message": {"date": 1, "chat": $GROUP,
         "from": {"id": 1087968824, "is_bot": true, "first_name": "Group",
           "username": "GroupAnonymousBot"}, "sender_chat": $GROUP}})"},
    {"PlaceholderEvenWithoutTheBotFlag",
     R"({"update_id": 1, "message": {"date": 1,
         "from": {"id": 1087968824, "is_bot": false,
           "first_name": "Group"}}})"},
    {"ChannelPlaceholderInAPoll",
     R"({"update_id": 1, "poll_answer": {"poll_id": "1", "option_ids": [],
         "user": {"id": 136817688, "is_bot": false, "first_name": "Channel"},
         "voter_chat": {"id": -1002, "type": "channel"}}})"},
    {"TelegramItself",
     R"({"update_id": 1, "message": {"date": 1, "from": {"id": 777000,
         "is_bot": false, "first_name": "Telegram"}}})"},
    {"SenderChat",
     R"({"update_id": 1, "message": {"date": 1, "from": $ADA,
         "sender_chat": {"id": -1002, "type": "channel"}}})"},
    {"ABot", R"({"update_id": 1, "message": {"date": 1, "from": $BOT}})"},
    {"ABotForABusiness",
     R"({"update_id": 1, "business_message": {"date": 1, "from": $ADA,
         "sender_business_bot": $BOT}})"},
    {"ChannelPost",
     R"({"update_id": 1, "channel_post": {"date": 1, "text": "x",
         "sender_chat": {"id": -1002, "type": "channel"},
         "chat": {"id": -1002, "type": "channel"}}})"},
    {"AnonymousReaction",
     R"({"update_id": 1, "message_reaction": {"chat": $GROUP, "date": 1,
         "message_id": 7, "actor_chat": $GROUP, "old_reaction": [],
         "new_reaction": []}})"},
    {"ReactionCount",
     R"({"update_id": 1, "message_reaction_count": {"chat": $GROUP,
         "message_id": 7, "date": 1, "reactions": []}})"},
    {"Poll",
     R"({"update_id": 1, "poll": {"id": "1", "question": "?", "options": [],
         "total_voter_count": 0, "is_closed": false}})"},
    {"ChatBoost",
     R"({"update_id": 1, "chat_boost": {"chat": $GROUP, "boost": {
         "boost_id": "1", "add_date": 1, "expiration_date": 2,
         "source": {"source": "premium", "user": $ADA}}}})"},
    {"RemovedChatBoost",
     R"({"update_id": 1, "removed_chat_boost": {"chat": $GROUP,
         "boost_id": "1", "remove_date": 1,
         "source": {"source": "premium", "user": $ADA}}})"},
    {"DeletedBusinessMessages",
     R"({"update_id": 1, "deleted_business_messages": {
         "business_connection_id": "b", "chat": $CHAT,
         "message_ids": [1, 2]}})"},
    {"UnknownKindOfTwoPeople",
     R"({"update_id": 1, "telepathy": {"from": $ADA, "user": $ADA}})"},
    {"TwoUnknownKinds",
     R"({"update_id": 1, "telepathy": {"from": $ADA},
         "telekinesis": {"user": $ADA}})"},
    {"UnknownKindOfABot", R"({"update_id": 1, "telepathy": {"from": $BOT}})"},
    {"UnknownKindOfAChat", R"({"update_id": 1, "telepathy": {"from": $CHAT}})"},
    {"UnknownKindOfASenderChat",
     R"({"update_id": 1, "telepathy": {"from": $ADA, "sender_chat": $GROUP}})"},
    {"UnknownKindOfAPlaceholder",
     R"({"update_id": 1, "telepathy": {"user": {"id": 777000,
         "is_bot": false, "first_name": "Telegram"}}})"},
    {"UnknownKindOfAnImpossibleUser",
     R"({"update_id": 1, "telepathy": {"user": {"id": -1,
         "is_bot": false}}})"},
    {"UnknownKindOfAWord", R"({"update_id": 1, "telepathy": {"user": "Ada"}})"},
    {"GuestMessageOfAChat",
     R"({"update_id": 1, "guest_message": {"from": $ADA, "date": 1,
         "sender_chat": $GROUP}})"},
    {"UnknownKindThatIsNoObject", R"({"update_id": 1, "telepathy": 3})"},
    {"NothingAtAll", R"({})"},
};

INSTANTIATE_TEST_SUITE_P(Updates, NobodyTest, testing::ValuesIn(kNobody),
                         [](const auto& info) { return info.param.label; });

struct ErrorCase {
  const char* label;
  const char* update;
  const char* message;
};

void PrintTo(const ErrorCase& c, std::ostream* os) { *os << c.label; }

class BadUpdateTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(BadUpdateTest, NamesTheFieldButNotItsValue) {
  const auto contact = Parse(GetParam().update);
  ASSERT_FALSE(contact.ok());
  EXPECT_EQ(contact.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(contact.status().message(), GetParam().message);
}

const ErrorCase kErrors[] = {
    {"Array", "[]", "an update is a JSON object"},
    {"Number", "17", "an update is a JSON object"},
    {"KindOfAnotherType", R"({"message": "Ada"})", "message is not an object"},
    {"AuthorOfAnotherType", R"({"message": {"from": "Ada"}})",
     "message.from is not an object"},
    {"NoId", R"({"message": {"from": {"first_name": "Ada"}}})",
     "message.from.id is not a user id"},
    {"TextId", R"({"message": {"from": {"id": "7", "first_name": "Ada"}}})",
     "message.from.id is not a 64-bit integer"},
    {"FractionalId", R"({"message": {"from": {"id": 7.5}}})",
     "message.from.id is not a 64-bit integer"},
    {"ZeroId", R"({"message": {"from": {"id": 0}}})",
     "message.from.id is not a user id"},
    {"NegativeId", R"({"message": {"from": {"id": -1}}})",
     "message.from.id is not a user id"},
    {"IdOf53Bits", R"({"message": {"from": {"id": 4503599627370496}}})",
     "message.from.id is not a user id"},
    {"IdOf64Bits", R"({"message": {"from": {"id": 18446744073709551615}}})",
     "message.from.id is not a 64-bit integer"},
    {"IdOfManyBits", R"({"message": {"from": {"id": 1844674407370955161500}}})",
     "message.from.id is not a 64-bit integer"},
    {"NumberAsName", R"({"poll_answer": {"user": {"id": 7, "first_name": 7}}})",
     "poll_answer.user.first_name is not a string"},
    {"TextAsFlag", R"({"message": {"from": {"id": 7, "is_bot": "Ada"}}})",
     "message.from.is_bot is not a boolean"},
    {"TextAsDate", R"({"message": {"from": {"id": 7}, "date": "Ada"}})",
     "message.date is not a 64-bit integer"},
    {"NegativeDate", R"({"message": {"from": {"id": 7}, "date": -1}})",
     "message.date is not a time"},
    {"DateInTheYear10000",
     R"({"message": {"from": {"id": 7}, "date": 253402300800}})",
     "message.date is not a time"},
    {"ChatOfAMessageOfAnotherType",
     R"({"message": {"from": {"id": 7}, "chat": 17, "date": 1}})",
     "message.chat is not an object"},
    {"ChatOfAnotherType",
     R"({"my_chat_member": {"from": {"id": 7}, "chat": [], "date": 1}})",
     "my_chat_member.chat is not an object"},
    {"StatusOfAnotherType",
     R"({"my_chat_member": {"from": {"id": 7}, "chat": $CHAT, "date": 1,
         "new_chat_member": {"status": 1}}})",
     "my_chat_member.new_chat_member.status is not a string"},
};

INSTANTIATE_TEST_SUITE_P(Updates, BadUpdateTest, testing::ValuesIn(kErrors),
                         [](const auto& info) { return info.param.label; });

TEST(IdentityTest, MissingLastNameAndUsernameAreCleared) {
  const auto contact = Parse(
      R"({"message": {"from": {"id": 7, "is_bot": false,
          "first_name": "Ada"}, "date": 1}})");
  ASSERT_TRUE(contact.ok() && contact->has_value());
  const v1::Identity& identity = (*contact)->identity();
  EXPECT_EQ(identity.first_name(), "Ada");
  EXPECT_TRUE(identity.has_last_name());
  EXPECT_EQ(identity.last_name(), "");
  EXPECT_TRUE(identity.has_username());
  EXPECT_EQ(identity.username(), "");
}

TEST(IdentityTest, MissingLanguageIsUnknownAndThusAbsent) {
  const auto contact = Parse(
      R"({"message": {"from": {"id": 7, "is_bot": false,
          "first_name": "Ada"}, "date": 1}})");
  ASSERT_TRUE(contact.ok() && contact->has_value());
  EXPECT_FALSE((*contact)->identity().has_language_code());
}

std::string Repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

// What of a field of the author's reaches the service.
absl::optional<std::string> Sent(const std::string& field,
                                 const std::string& text) {
  const auto contact =
      ContactOf({{"message", {{"from", {{"id", 7}, {field, text}}}}}});
  if (!contact.ok() || !contact->has_value()) return "no contact";
  const v1::Identity& identity = (*contact)->identity();
  const auto* type = v1::Identity::descriptor()->FindFieldByName(field);
  if (!v1::Identity::GetReflection()->HasField(identity, type)) return {};
  return v1::Identity::GetReflection()->GetString(identity, type);
}

TEST(IdentityTest, NamesLoseControlCharactersAndWhatIsTooLong) {
  for (const char* name :
       {"", "Ada", "\xd8\xb3\xd8\xa7\xd8\xb1\xd8\xa7", "\xc2\xa0", "\xc3\x80",
        "\xe2\x80\x8c", "\xf0\x9f\x91\x8d", " "}) {
    EXPECT_EQ(Sent("first_name", name), name);
  }
  EXPECT_EQ(Sent("first_name", std::string("A\0d\x1f\x7f\141\n", 7)), "Ada");
  EXPECT_EQ(Sent("first_name", "\xc2\x80\101da\xc2\x9f"), "Ada");
  EXPECT_EQ(Sent("last_name", "\r\n\x1b\x7f"), "");
  for (const char* letter : {"a", "\xd8\xb3", "\xf0\x9f\x91\x8d"}) {
    const std::string longest = Repeat(letter, 256);
    EXPECT_EQ(Sent("first_name", longest), longest);
    EXPECT_EQ(Sent("last_name", longest + letter), longest);
    EXPECT_EQ(Sent("first_name", "\n" + Repeat(letter, 9999)), longest);
  }
}

// Which tags are well-formed is tested where that is told.
TEST(IdentityTest, UsernamesAndLanguageTagsAreSentAsTheyAreOrNotAtAll) {
  for (const std::string& username :
       {std::string(), std::string("ada_1"), Repeat("\xd8\xb3", 64)}) {
    EXPECT_EQ(Sent("username", username), username);
  }
  for (const std::string& username :
       {Repeat("a", 65), std::string("ada\n"), std::string(1, '\0')}) {
    EXPECT_EQ(Sent("username", username), absl::nullopt);
  }
  const std::string longest = "en-a-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaa";
  for (const std::string& tag : {std::string("pt-br"), longest}) {
    EXPECT_EQ(Sent("language_code", tag), tag);
  }
  for (const std::string& tag : {std::string(), std::string("en-US\n"),
                                 std::string("classic-zh-cn"), longest + "a"}) {
    EXPECT_EQ(Sent("language_code", tag), absl::nullopt) << tag;
  }
}

TEST(IdentityTest, TheLargestIdIsOfUse) {
  const auto contact =
      Parse(R"({"message": {"from": {"id": 4503599627370495}}})");
  ASSERT_TRUE(contact.ok() && contact->has_value());
  EXPECT_EQ((*contact)->user_id(), 4503599627370495);
}

}  // namespace
}  // namespace userprofile::telegram
