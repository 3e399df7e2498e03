// Updates of every kind that the Bot API documents (testdata/contacts.jsonl),
// thousands of them bent and broken at random: whatever comes, the answer is a
// contact that the service takes, nobody, or an error without a word of the
// user's.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "client/telegram/testing.h"
#include "userprofile/telegram/update.h"

namespace userprofile::telegram {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kMutants = 30000;
constexpr char kMark[] = "personal";

std::vector<json> Updates() {
  std::vector<json> updates;
  for (const json& line : Contacts()) {
    if (!line.contains("error")) updates.push_back(line["update"]);
  }
  return updates;
}

class Mutator {
 public:
  // Changes a value somewhere in it, or several.
  void Mutate(json& value) {
    do {
      Change(Pick(value, 0));
    } while (Below(3) == 0);
  }

  std::uint32_t Below(std::uint32_t limit) { return random_() % limit; }

 private:
  // The value, or one inside of it.
  json& Pick(json& value, int depth) {
    if (!value.is_structured() || value.empty() ||
        (depth > 0 && Below(4) == 0)) {
      return value;
    }
    auto inside = value.begin();
    std::advance(inside, Below(static_cast<std::uint32_t>(value.size())));
    return Pick(*inside, depth + 1);
  }

  void Change(json& value) {
    switch (Below(12)) {
      case 0:
        value = nullptr;
        break;
      case 1:
        value = Below(2) == 0;
        break;
      case 2:
        value = static_cast<std::int64_t>(Below(1000)) - 500;
        break;
      case 3: {
        const std::int64_t numbers[] = {0,
                                        -1,
                                        INT64_MAX,
                                        INT64_MIN,
                                        std::int64_t{1} << 52,
                                        (std::int64_t{1} << 52) - 1,
                                        1087968824,
                                        253402300800};
        value = numbers[Below(8)];
        break;
      }
      case 4:
        value = UINT64_MAX;
        break;
      case 5:
        value = 1e300;
        break;
      case 6:
        value = json::array({value, value});
        break;
      case 7:
        value = json::object({{"from", value}, {"id", value}});
        break;
      case 8:
        value = kMark;
        break;
      case 9: {
        // Any bytes that JSON's strings can hold, so any UTF-8.
        std::string text = kMark;
        for (std::uint32_t i = Below(400); i > 0; --i) {
          const char* parts[] = {"x",
                                 "\x01",
                                 "\x7f",
                                 "\xc2\x85",
                                 "\xf0\x9f\x98\x80",
                                 "\xe2\x80\xae",
                                 "-",
                                 "\xef\xbf\xbf"};
          text += parts[Below(8)];
        }
        text += std::string(1, '\0');
        value = text;
        break;
      }
      default:
        if (value.is_object() && !value.empty()) {
          auto gone = value.begin();
          std::advance(gone, Below(static_cast<std::uint32_t>(value.size())));
          value.erase(gone);
        } else {
          value = json::object();
        }
    }
  }

  std::mt19937 random_{20251122};
};

void ExpectTheServiceTakes(const v1::UpsertUserRequest& contact) {
  EXPECT_GE(contact.user_id(), 1);
  EXPECT_LT(contact.user_id(), std::int64_t{1} << 52);
  EXPECT_NE(contact.user_id(), 1087968824);
  const v1::Identity& identity = contact.identity();
  for (const auto& [text, longest] : {std::pair{&identity.first_name(), 256},
                                      {&identity.last_name(), 256},
                                      {&identity.username(), 64},
                                      {&identity.language_code(), 35}}) {
    const base::TextTraits traits = base::Inspect(*text);
    EXPECT_TRUE(traits.valid_utf8 && !traits.has_control_characters) << *text;
    EXPECT_LE(traits.code_points, longest);
  }
  if (identity.has_language_code()) {
    EXPECT_TRUE(base::IsWellFormedLanguageTag(identity.language_code()));
  }
  EXPECT_GE(contact.occurred_at().seconds(), 0);
  EXPECT_LE(contact.occurred_at().seconds(), 253402300799);
}

TEST(MutationTest, NothingThatIsJsonBreaksIt) {
  const std::vector<json> updates = Updates();
  Mutator mutator;
  int contacts = 0, errors = 0;
  for (int i = 0; i < kMutants; ++i) {
    json update = updates[static_cast<std::size_t>(i) % updates.size()];
    mutator.Mutate(update);
    const auto contact = ContactOf(update);
    if (!contact.ok()) {
      ++errors;
      EXPECT_TRUE(absl::IsInvalidArgument(contact.status()));
      EXPECT_THAT(std::string(contact.status().message()),
                  Not(HasSubstr(kMark)));
    } else if (*contact) {
      ++contacts;
      ExpectTheServiceTakes(**contact);
    }
    if (HasFailure()) FAIL() << "mutant " << i << ": " << update.dump();
  }
  // It would be no test if all went the same way.
  EXPECT_GT(contacts, kMutants / 10);
  EXPECT_GT(errors, kMutants / 100);
}

TEST(MutationTest, NoBytesBreakIt) {
  const std::vector<json> updates = Updates();
  Mutator mutator;
  int parsed = 0;
  for (int i = 0; i < kMutants; ++i) {
    std::string text =
        updates[static_cast<std::size_t>(i) % updates.size()].dump();
    do {
      const auto at = mutator.Below(static_cast<std::uint32_t>(text.size()));
      switch (mutator.Below(3)) {
        case 0:
          text[at] = static_cast<char>(mutator.Below(256));
          break;
        case 1:
          text.erase(at, mutator.Below(20));
          break;
        default:
          text.insert(at, text.substr(mutator.Below(at + 1), 20));
      }
    } while (!text.empty() && mutator.Below(3) == 0);
    const json update = json::parse(text, nullptr, false);
    if (update.is_discarded()) continue;
    const auto contact = ContactOf(update);
    if (contact.ok() && *contact) {
      ++parsed;
      ExpectTheServiceTakes(**contact);
    }
    if (HasFailure()) FAIL() << "mutant " << i << ": " << text;
  }
  EXPECT_GT(parsed, kMutants / 100);
}

}  // namespace
}  // namespace userprofile::telegram
