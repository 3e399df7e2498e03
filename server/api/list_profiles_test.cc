#include "server/api/list_profiles.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/api/sealed_token.h"
#include "server/api/testing.h"
#include "server/store/testing/blocking_store.h"
#include "server/store/testing/fake_store.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ListProfilesTest : public ::testing::Test {
 protected:
  // Users 1 to n; every tenth speaks Persian.
  void Store(int n, const std::string& name = "Name ") {
    for (int user = 1; user <= n; ++user) {
      v1::UpsertUserRequest contact;
      contact.set_user_id(user);
      contact.mutable_identity()->set_first_name(absl::StrCat(name, user));
      contact.mutable_identity()->set_language_code(user % 10 == 0 ? "fa"
                                                                   : "en");
      ASSERT_TRUE(store::BlockingStore(fake_).Upsert(contact).ok());
    }
  }

  absl::Status List(store::ProfileStore& store,
                    const store::CallContext& context = {}) {
    absl::Status answer = absl::UnknownError("not answered");
    page_.Clear();
    v1::ListProfilesRequest request = request_;
    list_.act(store, &request, &page_, context, progress_,
              [&](absl::Status status) { answer = std::move(status); });
    return answer;
  }

  std::vector<std::int64_t> UsersOfPage() const {
    std::vector<std::int64_t> users;
    for (const v1::Profile& profile : page_.profiles()) {
      users.push_back(profile.user_id());
    }
    return users;
  }

  // From the page that request_ asks for to the last.
  std::vector<std::int64_t> WalkOn() {
    std::vector<std::int64_t> users;
    do {
      const absl::Status status = List(fake_);
      EXPECT_TRUE(status.ok()) << status;
      for (const std::int64_t user : UsersOfPage()) users.push_back(user);
      request_.set_page_token(page_.next_page_token());
    } while (!page_.next_page_token().empty());
    return users;
  }

  // Of the first page of two users.
  std::string Token() {
    request_.set_page_size(2);
    request_.clear_page_token();
    EXPECT_TRUE(List(fake_).ok());
    return page_.next_page_token();
  }

  void ExpectRefused(const std::string& token) {
    request_.set_page_token(token);
    const absl::Status status = List(fake_);
    ASSERT_TRUE(absl::IsInvalidArgument(status)) << token << " " << status;
    EXPECT_EQ(base::ErrorReason(status), "INVALID_FIELDS");
    EXPECT_THAT(FieldsOf(status), ElementsAre("page_token"));
    EXPECT_THAT(page_.profiles(), IsEmpty());
  }

  const MethodRow list_ = ListProfilesRow(absl::Seconds(5));
  const MethodRow count_ = CountProfilesRow();
  store::FakeStore fake_;
  ScriptedStore scripted_;
  v1::ListProfilesRequest request_;
  v1::ListProfilesResponse page_;
  Progress progress_;
};

TEST_F(ListProfilesTest, AWalkSeesEverybodyOnce) {
  Store(25);
  std::vector<std::int64_t> all(25);
  for (int i = 0; i < 25; ++i) all[i] = i + 1;
  for (const int size : {1, 2, 7, 24, 25, 26, 1000}) {
    request_.set_page_size(size);
    request_.clear_page_token();
    EXPECT_EQ(WalkOn(), all) << size;
  }
}

TEST_F(ListProfilesTest, APageHasItsSize) {
  Store(1200);
  for (const auto& [asked, given] : {std::pair(0, 100),
                                     {1, 1},
                                     {1000, 1000},
                                     {1001, 1000},
                                     {2'000'000'000, 1000}}) {
    request_.set_page_size(asked);
    ASSERT_TRUE(List(fake_).ok());
    EXPECT_EQ(page_.profiles_size(), given);
    EXPECT_THAT(page_.next_page_token(), Not(IsEmpty()));
  }
}

TEST_F(ListProfilesTest, TheSizeAndTheFieldsMayChangeOnTheWay) {
  Store(10);
  request_.set_page_token(Token());
  request_.set_page_size(3);
  request_.mutable_read_mask()->add_paths("user_id");
  ASSERT_TRUE(List(fake_).ok());
  EXPECT_THAT(UsersOfPage(), ElementsAre(3, 4, 5));
}

TEST_F(ListProfilesTest, AFilterThatLetsFewPassFillsAPage) {
  Store(200);
  request_.mutable_filter()->set_language_code("fa");
  request_.set_page_size(3);
  ASSERT_TRUE(List(fake_).ok());
  EXPECT_THAT(UsersOfPage(), ElementsAre(10, 20, 30));
  request_.set_page_token(page_.next_page_token());
  EXPECT_THAT(WalkOn(), SizeIs(17));
}

TEST_F(ListProfilesTest, ATokenIsOneOfThisServiceAndThisFilter) {
  Store(10);
  const std::string token = Token();
  for (std::size_t at = 0; at < token.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string other = token;
      other[at] = static_cast<char>(other[at] ^ flip);
      ExpectRefused(other);
    }
    if (at > 0) ExpectRefused(token.substr(0, at));
    ExpectRefused(token.substr(at + 1) + "A");
  }
  ExpectRefused(token + token);
  ExpectRefused("3");
  ExpectRefused(" ");
  // Of another purpose, another database, another content.
  const std::string key(32, 'k');
  ExpectRefused(SealToken(key, "watch", "2"));
  ExpectRefused(SealToken(std::string(32, 'l'), "list ", "2"));
  ExpectRefused(SealToken(key, "list ", "two"));
  ASSERT_EQ(token, SealToken(key, "list ", "2"));

  request_.mutable_filter()->set_is_active(true);
  ExpectRefused(token);
  const std::string filtered = Token();
  request_.mutable_filter()->set_is_active(false);
  ExpectRefused(filtered);
  request_.mutable_filter()->set_is_active(true);
  request_.mutable_filter()->set_grade_band("high");
  ExpectRefused(filtered);
  request_.clear_filter();
  ExpectRefused(filtered);
  request_.mutable_filter();  // asks for nothing, as none does
  request_.set_page_token(token);
  EXPECT_TRUE(List(fake_).ok());
}

TEST_F(ListProfilesTest, AnswersTheFieldsThatAreAskedFor) {
  Store(5);
  request_.set_page_size(2);
  request_.mutable_read_mask()->add_paths("first_name");
  request_.mutable_read_mask()->add_paths("revision");
  ASSERT_TRUE(List(fake_).ok());
  v1::Profile expected;
  expected.set_first_name("Name 2");
  expected.set_revision(1);
  ASSERT_EQ(page_.profiles_size(), 2);
  EXPECT_EQ(page_.profiles(1).SerializeAsString(),
            expected.SerializeAsString());
  // It still knows who they were.
  request_.set_page_token(page_.next_page_token());
  request_.clear_read_mask();
  ASSERT_TRUE(List(fake_).ok());
  EXPECT_THAT(UsersOfPage(), ElementsAre(3, 4));
}

// However the client's language orders the keys of attributes.
TEST_F(ListProfilesTest, ATokenHoldsForAnEqualFilter) {
  Store(3);
  const auto set = [&](int key) {
    (*request_.mutable_filter()
          ->mutable_attributes()
          ->mutable_fields())[absl::StrCat("key", key)]
        .set_null_value({});
  };
  for (int key = 0; key < 20; ++key) set(key);
  request_.set_page_size(1);
  ASSERT_TRUE(List(fake_).ok());
  request_.clear_filter();
  for (int key = 20; key-- > 0;) set(key);
  request_.set_page_token(page_.next_page_token());
  ASSERT_TRUE(List(fake_).ok());
  EXPECT_THAT(UsersOfPage(), ElementsAre(2));
  set(20);
  EXPECT_TRUE(absl::IsInvalidArgument(List(fake_)));
}

// Clients take no more than 4 MiB.
TEST_F(ListProfilesTest, APageEndsWhereItGetsTooLarge) {
  Store(2000, std::string(10'000, 'a'));
  request_.set_page_size(1000);
  std::int64_t last = 0;
  for (int page = 0; page < 5; ++page) {
    ASSERT_TRUE(List(fake_).ok());
    EXPECT_LT(page_.ByteSizeLong(), std::size_t{4} << 20);
    EXPECT_GE(page_.profiles_size(), page < 4 ? 400 : 300);
    EXPECT_EQ(UsersOfPage().front(), last + 1);
    last = UsersOfPage().back();
    request_.set_page_token(page_.next_page_token());
  }
  EXPECT_EQ(last, 2000);
  request_.clear_page_token();
  request_.mutable_read_mask()->add_paths("user_id");
  ASSERT_TRUE(List(fake_).ok());
  EXPECT_EQ(page_.profiles_size(), 1000);
}

// So that a caller with little time gets on, too.
TEST_F(ListProfilesTest, APageEndsInTime) {
  int looks = 0;
  scripted_.scan = [&](store::ScanCall call, auto, auto done) {
    ++looks;
    absl::SleepFor(absl::Milliseconds(1));  // as a large table would take
    *call.result = {};
    call.result->reached = call.after + call.most_scanned;
    done(absl::OkStatus());
  };
  store::CallContext context;
  context.deadline = base::SteadyTime::Now() + absl::Seconds(1);
  ASSERT_TRUE(List(scripted_, context).ok());
  EXPECT_LT(base::SteadyTime::Now(), context.deadline);
  EXPECT_GT(looks, 1);
  EXPECT_THAT(UsersOfPage(), IsEmpty());
  const std::string first = page_.next_page_token();
  EXPECT_THAT(first, Not(IsEmpty()));
  request_.set_page_token(first);
  context.deadline = base::SteadyTime::Now() + absl::Seconds(1);
  ASSERT_TRUE(List(scripted_, context).ok());
  EXPECT_NE(page_.next_page_token(), first);  // it got on
}

// Nor does a count put more into a part than comes through in time.
TEST_F(ListProfilesTest, PartsShrinkWhereUsersTakeLong) {
  std::vector<std::int64_t> parts;
  scripted_.scan = [&](store::ScanCall call, auto, auto done) {
    parts.push_back(call.most_scanned);
    if (call.most_scanned > 1000) absl::SleepFor(absl::Milliseconds(1100));
    *call.result = {};
    if (parts.size() < 4) call.result->reached = call.after + call.most_scanned;
    done(absl::OkStatus());
  };
  v1::CountProfilesRequest request;
  v1::CountProfilesResponse response;
  count_.act(scripted_, &request, &response, {}, progress_,
             [](const absl::Status&) {});
  EXPECT_THAT(parts, ElementsAre(1000, 2000, 1000, 2000));
}

// A page of what was found before, and the next one goes on there: else a
// caller with little time would see the same failure for ever.
TEST_F(ListProfilesTest, APartThatFailsEndsThePage) {
  std::int64_t fails_after = 0;
  std::int64_t began = 0;
  scripted_.scan = [&](store::ScanCall call, auto, auto done) {
    *call.result = {};
    began = call.after;
    call.profiles->Add()->set_user_id(call.after + 1);
    call.result->reached = call.after + 1;
    done(call.after == fails_after ? store::DeadlineExceeded()
                                   : absl::OkStatus());
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(List(scripted_)));
  fails_after = 2;
  ASSERT_TRUE(List(scripted_).ok());
  EXPECT_THAT(UsersOfPage(), ElementsAre(1, 2));
  request_.set_page_token(page_.next_page_token());
  EXPECT_TRUE(absl::IsDeadlineExceeded(List(scripted_)));
  EXPECT_EQ(began, 2);

  request_.clear_page_token();
  scripted_.scan = [](store::ScanCall call, auto, auto done) {
    call.result->reached = call.after + 1;
    done(call.after == 0 ? absl::OkStatus() : store::Cancelled());
  };
  EXPECT_TRUE(absl::IsCancelled(List(scripted_)));
}

// A part is twice as large as the one before, as long as there is time for it.
TEST_F(ListProfilesTest, PartsGrowAsTimeAllows) {
  std::vector<std::int64_t> parts;
  std::vector<std::size_t> room;
  std::vector<base::SteadyTime> deadlines;
  absl::Duration takes;
  scripted_.scan = [&](store::ScanCall call, store::CallContext context,
                       auto done) {
    parts.push_back(call.most_scanned);
    room.push_back(call.most_bytes);
    deadlines.push_back(context.deadline);
    absl::SleepFor(takes);
    *call.result = {};
    call.result->bytes = 10;
    if (parts.size() < 8) call.result->reached = call.after + call.most_scanned;
    done(absl::OkStatus());
  };
  request_.set_page_size(200);
  ASSERT_TRUE(List(scripted_).ok());
  EXPECT_THAT(parts,
              ElementsAre(400, 800, 1600, 3200, 6400, 10000, 10000, 10000));
  EXPECT_THAT(page_.next_page_token(), IsEmpty());
  EXPECT_EQ(room[2], room[0] - 20);
  EXPECT_LT(deadlines[1], deadlines[0]);

  parts.clear();
  takes = absl::Milliseconds(300);
  store::CallContext context;
  context.deadline = base::SteadyTime::Now() + absl::Milliseconds(1600);
  ASSERT_TRUE(List(scripted_, context).ok());
  EXPECT_THAT(parts, ElementsAre(400));
  EXPECT_THAT(page_.next_page_token(), Not(IsEmpty()));
}

TEST_F(ListProfilesTest, APartThatFailsFailsACount) {
  scripted_.scan = [](store::ScanCall call, auto, auto done) {
    *call.result = {};
    if (call.after > 0) return done(store::DeadlineExceeded());
    call.result->reached = 1;
    done(absl::OkStatus());
  };
  v1::CountProfilesRequest request;
  v1::CountProfilesResponse response;
  absl::Status answer;
  count_.act(scripted_, &request, &response, {}, progress_,
             [&](absl::Status status) { answer = std::move(status); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(answer));
}

TEST_F(ListProfilesTest, ItsTimesAreThoseOfAllParts) {
  scripted_.scan = [](store::ScanCall call, store::CallContext context,
                      auto done) {
    *call.result = {};
    if (call.after < 3) call.result->reached = call.after + 1;
    context.times->queue = absl::Milliseconds(1);
    context.times->database = absl::Milliseconds(2);
    done(absl::OkStatus());
  };
  store::CallTimes times;
  ASSERT_TRUE(List(scripted_, {.times = &times}).ok());
  EXPECT_EQ(times.queue, absl::Milliseconds(4));
  EXPECT_EQ(times.database, absl::Milliseconds(8));
}

TEST_F(ListProfilesTest, CountsAllParts) {
  scripted_.scan = [](store::ScanCall call, auto, auto done) {
    EXPECT_EQ(call.profiles, nullptr);
    *call.result = {};
    call.result->count = 10;
    if (call.after < 5) call.result->reached = call.after + 1;
    done(absl::OkStatus());
  };
  v1::CountProfilesRequest request;
  v1::CountProfilesResponse response;
  absl::Status answer = absl::UnknownError("not answered");
  count_.act(scripted_, &request, &response, {}, progress_,
             [&](absl::Status status) { answer = std::move(status); });
  ASSERT_TRUE(answer.ok()) << answer;
  EXPECT_EQ(response.count(), 60);
}

}  // namespace
}  // namespace userprofile::api
