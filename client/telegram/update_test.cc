// What ContactOf makes of an update. testdata/contacts.jsonl has a line for
// each case: what it is, the update, and the request (null if it is nobody's
// contact) or the error. The packages for other languages pass the same file.

#include "userprofile/telegram/update.h"

#include <string>

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "client/telegram/testing.h"

namespace userprofile::telegram {
namespace {

using ::google::protobuf::util::JsonStringToMessage;
using ::google::protobuf::util::MessageDifferencer;
using nlohmann::json;

class ContactTest : public testing::TestWithParam<json> {};

TEST_P(ContactTest, IsWhatTheFileSays) {
  const json& line = GetParam();
  const auto contact = ContactOf(line["update"], line.value("bot", ""));
  if (line.contains("error")) {
    ASSERT_TRUE(absl::IsInvalidArgument(contact.status())) << contact.status();
    EXPECT_EQ(contact.status().message(), line["error"].get<std::string>());
    return;
  }
  ASSERT_TRUE(contact.ok()) << contact.status();
  ASSERT_EQ(contact->has_value(), !line["request"].is_null());
  if (!contact->has_value()) return;
  v1::UpsertUserRequest expected;
  ASSERT_TRUE(JsonStringToMessage(line["request"].dump(), &expected).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(**contact, expected))
      << (*contact)->DebugString();
}

std::string LabelOf(const testing::TestParamInfo<json>& info) {
  std::string label;
  bool capital = true;
  for (const char c : info.param["what"].get<std::string>()) {
    const bool is_word = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (is_word) label += capital ? absl::ascii_toupper(c) : c;
    capital = !is_word;
  }
  return label;
}

INSTANTIATE_TEST_SUITE_P(Updates, ContactTest, testing::ValuesIn(Contacts()),
                         LabelOf);

TEST(ContactFileTest, HasEveryKindOfUpdate) {
  std::string kinds;
  for (const json& line : Contacts()) {
    if (!line["update"].is_object()) continue;
    for (const auto& [kind, event] : line["update"].items())
      kinds += kind + ' ';
  }
  for (const char* kind : {"message",
                           "edited_message",
                           "channel_post",
                           "edited_channel_post",
                           "business_connection",
                           "business_message",
                           "edited_business_message",
                           "deleted_business_messages",
                           "guest_message",
                           "message_reaction",
                           "message_reaction_count",
                           "inline_query",
                           "chosen_inline_result",
                           "callback_query",
                           "shipping_query",
                           "pre_checkout_query",
                           "purchased_paid_media",
                           "poll",
                           "poll_answer",
                           "my_chat_member",
                           "chat_member",
                           "chat_join_request",
                           "chat_boost",
                           "removed_chat_boost",
                           "managed_bot",
                           "subscription"}) {
    EXPECT_THAT(kinds, testing::HasSubstr(std::string(kind) + ' '));
  }
}

}  // namespace
}  // namespace userprofile::telegram
