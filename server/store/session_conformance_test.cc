// What every ProfileStore does with the sessions of bots.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/conformance.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;

constexpr char kKey[] = "chat:7";

class SessionTest : public ProfileStoreTest {
 protected:
  static v1::PutSessionRequest Put(const std::string& value,
                                   const std::string& key = kKey,
                                   const std::string& bot = "shop") {
    v1::PutSessionRequest request;
    request.mutable_session()->set_bot(bot);
    request.mutable_session()->set_key(key);
    request.mutable_session()->set_value(value);
    return request;
  }

  static v1::PutSessionRequest Expecting(std::int64_t revision,
                                         v1::PutSessionRequest request) {
    request.set_expected_revision(revision);
    return request;
  }

  static v1::PutSessionRequest ExpiringAt(absl::Time time,
                                          v1::PutSessionRequest request) {
    SetTimestamp(time, request.mutable_session()->mutable_expires_at());
    return request;
  }

  static v1::PutSessionRequest Of(std::int64_t user_id,
                                  v1::PutSessionRequest request) {
    request.mutable_session()->set_user_id(user_id);
    return request;
  }

  static v1::DeleteSessionRequest Delete(const std::string& key = kKey,
                                         const std::string& bot = "shop") {
    v1::DeleteSessionRequest request;
    request.set_bot(bot);
    request.set_key(key);
    return request;
  }

  // The revision that it got.
  std::int64_t Store(const v1::PutSessionRequest& request) {
    const auto response = store_.PutSession(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->revision() : -1;
  }

  absl::StatusOr<v1::GetSessionResponse> Get(const std::string& key = kKey,
                                             const std::string& bot = "shop") {
    v1::GetSessionRequest request;
    request.set_bot(bot);
    request.set_key(key);
    return store_.GetSession(request);
  }

  // Its value, or the reason why there is none.
  std::string ValueOf(const std::string& key = kKey,
                      const std::string& bot = "shop") {
    const auto response = Get(key, bot);
    return response.ok() ? response->session().value()
                         : base::ErrorReason(response.status());
  }

  // Refused for the revision that is stored.
  static void ExpectMismatch(const absl::Status& status, std::int64_t stored) {
    EXPECT_TRUE(absl::IsAborted(status)) << status;
    EXPECT_EQ(base::ErrorReason(status), "REVISION_MISMATCH");
    EXPECT_EQ(Metadata(status, "revision"), std::to_string(stored));
  }

  static void ExpectNone(const absl::Status& status) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_EQ(base::ErrorReason(status), "SESSION_NOT_FOUND");
  }
};

TEST_P(SessionTest, ReturnsWhatWasStored) {
  ExpectNone(Get().status());
  const absl::Time expires_at =
      absl::FromUnixMicros(absl::ToUnixMicros(absl::Now())) + absl::Hours(1);
  const v1::PutSessionRequest request =
      Of(kUser, ExpiringAt(expires_at, Put("{\"step\":1}")));
  const auto put = store_.PutSession(request);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_GT(put->revision(), 0);
  EXPECT_EQ(FromTimestamp(put->updated_at()), kNow);

  v1::Session expected = request.session();
  expected.set_revision(put->revision());
  *expected.mutable_updated_at() = put->updated_at();
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(MessageDifferencer::Equals(got->session(), expected))
      << got->session().DebugString();
}

TEST_P(SessionTest, OverwritesAllOfIt) {
  const std::int64_t first =
      Store(Of(kUser, ExpiringAt(absl::Now() + absl::Hours(1), Put("1"))));
  // By a clock that goes back, too.
  now_ += -absl::Hours(1);
  const std::int64_t second = Store(Put("2"));
  EXPECT_GT(second, first);
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->session().value(), "2");
  EXPECT_EQ(got->session().revision(), second);
  EXPECT_EQ(FromTimestamp(got->session().updated_at()), now_.load());
  EXPECT_FALSE(got->session().has_expires_at());
  EXPECT_FALSE(got->session().has_user_id());
  // What a request says of them does not count.
  v1::PutSessionRequest request = Put("3");
  request.mutable_session()->set_revision(7);
  SetTimestamp(kNow - absl::Hours(9),
               request.mutable_session()->mutable_updated_at());
  EXPECT_GT(Store(request), second);
  EXPECT_EQ(FromTimestamp(Get()->session().updated_at()), now_.load());
}

TEST_P(SessionTest, WritesWhereTheRevisionIsTheExpectedOneAndNowhereElse) {
  ExpectMismatch(store_.PutSession(Expecting(1, Put("no"))).status(), 0);
  ExpectNone(Get().status());
  const std::int64_t first = Store(Expecting(0, Put("1")));
  for (const std::int64_t other :
       {std::int64_t{0}, std::int64_t{1}, first - 1, first + 1}) {
    ExpectMismatch(store_.PutSession(Expecting(other, Put("no"))).status(),
                   first);
  }
  EXPECT_EQ(ValueOf(), "1");
  const std::int64_t second = Store(Expecting(first, Put("2")));
  ExpectMismatch(store_.PutSession(Expecting(first, Put("no"))).status(),
                 second);
  EXPECT_EQ(ValueOf(), "2");
}

TEST_P(SessionTest, IsNotThereOnceItHasExpired) {
  const std::int64_t first =
      Store(ExpiringAt(absl::Now() - absl::Hours(1), Put("old")));
  ExpectNone(Get().status());
  ExpectNone(store_.DeleteSession(Delete()).status());
  ExpectMismatch(store_.PutSession(Expecting(first, Put("no"))).status(), 0);
  // Of the same key, and not of the same revision.
  const std::int64_t second = Store(Expecting(0, Put("new")));
  EXPECT_GT(second, first);
  EXPECT_EQ(ValueOf(), "new");

  Store(ExpiringAt(absl::Now() + absl::Hours(1), Put("for long")));
  EXPECT_EQ(ValueOf(), "for long");
  Store(ExpiringAt(absl::Now() + absl::Milliseconds(50), Put("not for long")));
  const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(20);
  while (Get().ok()) ASSERT_TRUE(base::SteadyTime::Now() < limit);
  ExpectNone(Get().status());
}

TEST_P(SessionTest, ExpiresInAYearThatNoClockWillReach) {
  v1::PutSessionRequest request = Put("1");
  auto* expires_at = request.mutable_session()->mutable_expires_at();
  expires_at->set_seconds(253402300799);
  expires_at->set_nanos(999'999'999);
  Store(request);
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->session().expires_at().seconds(), 253402300799);

  expires_at->set_seconds(-62135596800);
  expires_at->set_nanos(0);
  Store(request);
  ExpectNone(Get().status());
}

TEST_P(SessionTest, ForgetsOneAndSaysWhereThereIsNone) {
  ExpectNone(store_.DeleteSession(Delete()).status());
  v1::DeleteSessionRequest request = Delete();
  request.set_allow_missing(true);
  EXPECT_TRUE(store_.DeleteSession(request).ok());

  const std::int64_t first = Store(Put("1"));
  for (const std::int64_t other : {std::int64_t{0}, first - 1, first + 1}) {
    request.set_expected_revision(other);
    ExpectMismatch(store_.DeleteSession(request).status(), first);
  }
  EXPECT_EQ(ValueOf(), "1");
  request.set_expected_revision(first);
  EXPECT_TRUE(store_.DeleteSession(request).ok());
  ExpectNone(Get().status());
  EXPECT_TRUE(store_.DeleteSession(request).ok()) << "none is allowed";
  request.set_allow_missing(false);
  ExpectNone(store_.DeleteSession(request).status());
}

// Whoever still holds the revision of a dialogue that is over can't write to
// the one that came after it.
TEST_P(SessionTest, OneThatComesAfterADeletedOneHasAnotherRevision) {
  const std::int64_t first = Store(Put("1"));
  ASSERT_TRUE(store_.DeleteSession(Delete()).ok());
  now_ += absl::Milliseconds(1);
  const std::int64_t second = Store(Put("2"));
  EXPECT_GT(second, first);
  ExpectMismatch(store_.PutSession(Expecting(first, Put("no"))).status(),
                 second);
}

TEST_P(SessionTest, ComparesKeysExactly) {
  std::string longest;
  for (int i = 0; i < 256; ++i) longest += "\xF0\x9F\x99\x82";
  const std::vector<std::string> keys = {
      "a",    "A",   "a ",     " a",          "a\t",   "a\n",
      "0",    "00",  "\u00e9", "e\u0301",     "ss",    "\u00df",
      "null", "NUL", "{}",     R"("a",'b'\)", R"(\\)", longest,
  };
  std::vector<v1::PutSessionRequest> requests;
  for (const std::string& key : keys) requests.push_back(Put("of " + key, key));
  for (const auto& put : store_.PutSessions(requests)) {
    EXPECT_TRUE(put.ok()) << put.status();
  }
  for (const std::string& key : keys) {
    const auto got = Get(key);
    ASSERT_TRUE(got.ok()) << key << ": " << got.status();
    EXPECT_EQ(got->session().key(), key);
    EXPECT_EQ(got->session().value(), "of " + key);
  }
  ASSERT_TRUE(store_.DeleteSession(Delete("a ")).ok());
  ExpectNone(Get("a ").status());
  EXPECT_EQ(ValueOf("a"), "of a");
}

TEST_P(SessionTest, KeepsTheSessionsOfBotsApart) {
  Store(Put("of the shop", kKey, "shop"));
  Store(Put("of the school", kKey, "school"));
  Store(Put("of neither", "shop", kKey));
  EXPECT_EQ(ValueOf(kKey, "shop"), "of the shop");
  EXPECT_EQ(ValueOf(kKey, "school"), "of the school");
  ExpectNone(Get(kKey, "Shop").status());
  ASSERT_TRUE(store_.DeleteSession(Delete(kKey, "shop")).ok());
  EXPECT_EQ(ValueOf(kKey, "school"), "of the school");
  EXPECT_EQ(ValueOf("shop", kKey), "of neither");
}

TEST_P(SessionTest, KeepsValuesOfAllBytesAndAnySize) {
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) {
    all_bytes += static_cast<char>(byte);
  }
  std::string largest;
  while (largest.size() < 65536) largest += all_bytes;
  const std::vector<std::string> values = {
      "", std::string(1, '\0'), all_bytes, "\\x00", "NULL", largest};
  std::vector<v1::PutSessionRequest> requests;
  for (std::size_t i = 0; i < values.size(); ++i) {
    requests.push_back(Put(values[i], std::to_string(i)));
  }
  for (const auto& put : store_.PutSessions(requests)) {
    EXPECT_TRUE(put.ok()) << put.status();
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto got = Get(std::to_string(i));
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_TRUE(got->session().value() == values[i]) << i;
  }
}

// One after the other, whatever shares a batch.
TEST_P(SessionTest, GivesEachOfManyCallsAtOnceAnEffectOfItsOwn) {
  std::vector<v1::PutSessionRequest> requests;
  for (int i = 0; i < 200; ++i) {
    requests.push_back(Put(std::to_string(i), std::to_string(i % 40)));
  }
  std::vector<std::vector<std::int64_t>> revisions(40);
  const auto responses = store_.PutSessions(requests);
  for (std::size_t i = 0; i < responses.size(); ++i) {
    ASSERT_TRUE(responses[i].ok()) << responses[i].status();
    revisions[i % 40].push_back(responses[i]->revision());
  }
  for (int key = 0; key < 40; ++key) {
    EXPECT_THAT(revisions[key], ::testing::SizeIs(5));
    EXPECT_EQ(std::adjacent_find(revisions[key].begin(), revisions[key].end(),
                                 std::greater_equal<>()),
              revisions[key].end())
        << "not each after the one before";
    EXPECT_EQ(ValueOf(std::to_string(key)), std::to_string(160 + key));
  }
}

TEST_P(SessionTest, WhoIsDeletedTakesTheirSessionsAlong) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  ASSERT_TRUE(store_.Upsert(Contact(kUser + 1)).ok());
  Store(Of(kUser, Put("theirs", "1")));
  Store(Of(kUser, Put("theirs", "2", "school")));
  Store(Of(kUser, ExpiringAt(absl::Now() - absl::Hours(1), Put("old", "3"))));
  Store(Of(kUser + 1, Put("of another", "4")));
  Store(Put("nobody's", "5"));
  Store(Of(999, Put("of nobody known", "6")));
  v1::DeleteUserRequest request;
  request.set_user_id(kUser);
  request.set_expected_revision(7);
  ASSERT_TRUE(absl::IsAborted(store_.Delete(request).status()));
  EXPECT_EQ(ValueOf("1"), "theirs");

  request.clear_expected_revision();
  ASSERT_TRUE(store_.Delete(request).ok());
  ExpectNone(Get("1").status());
  ExpectNone(Get("2", "school").status());
  ExpectNone(Get("3").status());
  EXPECT_EQ(ValueOf("4"), "of another");
  EXPECT_EQ(ValueOf("5"), "nobody's");
  EXPECT_EQ(ValueOf("6"), "of nobody known");
}

INSTANTIATE_TEST_SUITE_P(Stores, SessionTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
