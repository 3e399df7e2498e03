#include "server/api/watch_call.h"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
#include "server/api/sealed_token.h"
#include "server/api/testing.h"
#include "server/api/user_profile_service.h"
#include "server/transport/grpc_server.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;

// A table of changes, one for each user, with a place between them.
class Changes {
 public:
  void Add(std::int64_t user_id, std::size_t size = 0) {
    base::MutexLock lock(mutex_);
    users_.push_back({user_id, size});
  }

  void Fail(absl::Status failure) {
    base::MutexLock lock(mutex_);
    failure_ = std::move(failure);
  }

  absl::Status Read(const store::ChangesCall& call) {
    base::MutexLock lock(mutex_);
    if (!failure_.ok()) return failure_;
    store::ChangesCall::Page& page = *call.page;
    page = {};
    std::size_t at = users_.size();
    if (call.after.has_value()) at = std::stoul(*call.after);
    for (; at < users_.size() && page.changes.size() < call.limit; ++at) {
      store::Change& change = page.changes.emplace_back();
      change.place = absl::StrCat(at + 1);
      v1::Profile* profile = change.event.mutable_profile();
      profile->set_user_id(users_[at].first);
      profile->set_phone("+989123456789");
      profile->set_first_name(std::string(users_[at].second, 'x'));
    }
    page.more = at < users_.size();
    page.end = absl::StrCat(at);
    return absl::OkStatus();
  }

 private:
  base::Mutex mutex_;
  std::vector<std::pair<std::int64_t, std::size_t>> users_
      ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

class WatchCallTest : public ::testing::Test {
 protected:
  WatchCallTest() {
    readiness_.Set(absl::OkStatus());
    store_.read_changes = [this](const store::ChangesCall& call, auto,
                                 auto done) { done(changes_.Read(call)); };
    options_.connections = &connections_;
    options_.watch.poll_interval = absl::Milliseconds(5);
  }

  ~WatchCallTest() override { service_->Shutdown(); }

  void SetUp() override { Start(); }

  // Also anew.
  void Start() {
    if (service_ != nullptr) service_->Shutdown();
    server_.reset();
    service_ = std::make_unique<UserProfileService>(
        store_, readiness_, metrics_, access_, options_);
    auto server = transport::GrpcServer::Start({.address = "127.0.0.1:0"},
                                               connections_, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::UserProfileService::NewStub(grpc::CreateChannel(
        server_->address(), grpc::InsecureChannelCredentials()));
  }

  static v1::WatchProfilesRequest RequestAfter(const std::string& token) {
    v1::WatchProfilesRequest request;
    if (!token.empty()) request.set_resume_token(token);
    return request;
  }

  struct Watch {
    explicit Watch(v1::UserProfileService::Stub& stub,
                   const std::string& token = "")
        : Watch(stub, RequestAfter(token)) {}
    Watch(v1::UserProfileService::Stub& stub,
          const v1::WatchProfilesRequest& request) {
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::seconds(60));
      reader = stub.WatchProfiles(&context, request);
    }
    ~Watch() {
      if (finished) return;
      context.TryCancel();
      Finish();
    }

    // The next event; a test failure if there is none.
    v1::WatchProfilesResponse Next() {
      v1::WatchProfilesResponse event;
      EXPECT_TRUE(reader->Read(&event));
      EXPECT_NE(event.resume_token(), "");
      return event;
    }

    // Who changes next; 0 for nobody.
    std::int64_t NextUser() { return Next().profile().user_id(); }

    grpc::Status Finish() {
      v1::WatchProfilesResponse event;
      while (reader->Read(&event)) {
      }
      finished = true;
      return reader->Finish();
    }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::WatchProfilesResponse>> reader;
    bool finished = false;
  };

  // More than a connection holds of what nobody takes.
  void AddLarge() {
    for (int user = 1; user <= 500; ++user) changes_.Add(user, 20'000);
  }

  void AwaitWatchers(int count) {
    const std::string line = absl::StrCat("userprofile_watchers ", count, "\n");
    const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(60);
    while (!absl::StrContains(metrics_.Text(), line)) {
      ASSERT_TRUE(base::SteadyTime::Now() < limit) << metrics_.Text();
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

  Changes changes_;
  ScriptedStore store_;
  ops::Readiness readiness_;
  ops::Metrics metrics_;
  access::Access access_{metrics_};
  access::Connections connections_;
  UserProfileServiceOptions options_;
  std::unique_ptr<UserProfileService> service_;
  std::unique_ptr<transport::GrpcServer> server_;
  std::unique_ptr<v1::UserProfileService::Stub> stub_;
};

TEST_F(WatchCallTest, BeginsNowAndGoesOnFromEachToken) {
  changes_.Add(1);
  std::vector<std::string> tokens;
  {
    Watch watch(*stub_);
    const auto first = watch.Next();
    EXPECT_EQ(first.event_case(), v1::WatchProfilesResponse::EVENT_NOT_SET);
    tokens.push_back(first.resume_token());
    changes_.Add(2);
    changes_.Add(3);
    for (const int user : {2, 3}) {
      const auto event = watch.Next();
      EXPECT_EQ(event.profile().user_id(), user);
      tokens.push_back(event.resume_token());
    }
  }
  changes_.Add(4);
  for (int i = 0; i < 3; ++i) {
    Watch watch(*stub_, tokens[i]);
    for (int user = 2 + i; user <= 4; ++user) {
      EXPECT_EQ(watch.NextUser(), user);
    }
  }
}

TEST_F(WatchCallTest, ReadsAsManyPagesAsThereAre) {
  Watch watch(*stub_);
  EXPECT_EQ(watch.NextUser(), 0);
  for (int user = 1; user <= 1000; ++user) changes_.Add(user);
  for (int user = 1; user <= 1000; ++user) ASSERT_EQ(watch.NextUser(), user);
}

TEST_F(WatchCallTest, GivesSignsOfLife) {
  options_.watch.heartbeat = absl::Milliseconds(20);
  Start();
  Watch watch(*stub_);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(watch.NextUser(), 0);
  changes_.Add(1);
  while (watch.NextUser() != 1) {
  }
}

TEST_F(WatchCallTest, GivesNoneWhileTheDatabaseDoesNotAnswer) {
  base::Mutex mutex;
  std::vector<store::Done> held;
  std::atomic<bool> answers{true};
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    if (answers) return done(changes_.Read(call));
    base::MutexLock lock(mutex);
    held.push_back(std::move(done));
  };
  options_.watch.heartbeat = absl::Milliseconds(20);
  Start();
  Watch watch(*stub_);
  EXPECT_EQ(watch.NextUser(), 0);
  answers = false;
  std::thread end([&] {
    absl::SleepFor(absl::Seconds(1));
    watch.context.TryCancel();
  });
  v1::WatchProfilesResponse event;
  int signs = 0;
  while (watch.reader->Read(&event)) ++signs;
  end.join();
  EXPECT_LT(signs, 15);
  answers = true;
  std::vector<store::Done> to_end;
  {
    base::MutexLock lock(mutex);
    to_end = std::exchange(held, {});
  }
  for (store::Done& done : to_end) done(store::Cancelled());
}

// However many pages come at once: they are not answered within each other.
TEST_F(WatchCallTest, IsNoDeeperForManyPagesThatComeAtOnce) {
  std::atomic<int> place{0};
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    *call.page = {};
    call.page->end = absl::StrCat(++place);
    call.page->more = call.after.has_value() && place < 100'000;
    done(absl::OkStatus());
  };
  Watch watch(*stub_);
  watch.Next();
  const absl::Time limit = absl::Now() + absl::Seconds(60);
  while (place < 100'000 && absl::Now() < limit) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_GE(place, 100'000);
}

// As of those who are not to be told: each has a place to go on from.
TEST_F(WatchCallTest, GivesThemWhileItPassesByMuchThatIsNotTold) {
  std::atomic<int> place{0};
  std::deque<store::Done> asked;
  bool ended = false;
  base::Mutex mutex;
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    *call.page = {};
    call.page->end = absl::StrCat(++place);
    call.page->more = call.after.has_value();
    base::MutexLock lock(mutex);
    asked.push_back(std::move(done));
  };
  // By a thread of its own, as the store does.
  std::thread store([&] {
    while (true) {
      std::deque<store::Done> now;
      {
        base::MutexLock lock(mutex);
        if (ended && asked.empty()) return;
        now.swap(asked);
      }
      for (store::Done& done : now) done(absl::OkStatus());
    }
  });
  options_.watch.heartbeat = absl::Milliseconds(20);
  Start();
  Watch watch(*stub_);
  std::string token = watch.Next().resume_token();
  for (int i = 0; i < 3; ++i) {
    const std::string next = watch.Next().resume_token();
    EXPECT_NE(next, token);
    token = next;
  }
  service_->Shutdown();
  {
    base::MutexLock lock(mutex);
    ended = true;
  }
  store.join();
}

TEST_F(WatchCallTest, TakesNoTokensButItsOwn) {
  const std::string token = Watch(*stub_).Next().resume_token();
  std::string changed = token;
  changed.back() = changed.back() == 'A' ? 'Q' : 'A';
  v1::ProfileFilter filter;
  filter.set_is_active(true);
  for (const std::string& wrong :
       {std::string(), std::string("1"), changed, token + "A",
        SealToken(store_.token_key, PurposeOf("list", {}), "0"),
        SealToken(store_.token_key, PurposeOf("watch", filter), "0"),
        SealToken(std::string(32, 'o'), PurposeOf("watch", {}), "0")}) {
    v1::WatchProfilesRequest request;
    request.set_resume_token(wrong);
    Watch watch(*stub_, request);
    const grpc::Status status = watch.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << wrong;
    EXPECT_THAT(FieldsOf(status), ElementsAre("resume_token"));
  }
}

TEST_F(WatchCallTest, AsksTheStoreForWhatIsWanted) {
  std::atomic<int> asked{0};
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    if (call.filter.is_active() && call.include_contacts) ++asked;
    done(changes_.Read(call));
  };
  v1::WatchProfilesRequest request;
  request.mutable_filter()->set_is_active(true);
  request.set_include_contacts(true);
  std::string token;
  for (int i = 0; i < 2; ++i) {
    if (!token.empty()) request.set_resume_token(token);
    Watch watch(*stub_, request);
    token = watch.Next().resume_token();
    EXPECT_GT(asked.exchange(0), 0);
  }
}

TEST_F(WatchCallTest, EndsWithTheErrorOfTheStore) {
  Watch watch(*stub_);
  EXPECT_EQ(watch.NextUser(), 0);
  changes_.Fail(store::TokenExpired());
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(ReasonOf(status), "TOKEN_EXPIRED");
}

TEST_F(WatchCallTest, EndsWhenTheServerStops) {
  Watch watch(*stub_);
  EXPECT_EQ(watch.NextUser(), 0);
  service_->Shutdown();
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "SHUTTING_DOWN");
  Watch late(*stub_);
  EXPECT_EQ(ReasonOf(late.Finish()), "SHUTTING_DOWN");
}

// Also while it reads, of a database that is away.
TEST_F(WatchCallTest, EndsOnceTheStoreLetsItGo) {
  base::Mutex mutex;
  std::vector<std::thread> lane;
  std::atomic<int> given_up{0};
  store_.read_changes = [&](auto, const store::CallContext& context,
                            auto done) {
    base::MutexLock lock(mutex);
    lane.emplace_back([&given_up, context, done = std::move(done)]() mutable {
      while (!context.cancelled()) absl::SleepFor(absl::Milliseconds(1));
      ++given_up;
      done(store::Cancelled());
    });
  };
  Watch watch(*stub_);
  const auto size = [&] {
    base::MutexLock lock(mutex);
    return lane.size();
  };
  while (size() < 2) absl::SleepFor(absl::Milliseconds(1));  // one is the poll
  watch.context.TryCancel();
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::CANCELLED);
  while (given_up < 1) absl::SleepFor(absl::Milliseconds(1));
  service_->Shutdown();
  while (given_up < 2) absl::SleepFor(absl::Milliseconds(1));
  for (std::thread& thread : lane) thread.join();
}

// The store answers on threads of its own, while the call ends on gRPC's.
TEST_F(WatchCallTest, MayBeGoneAsTheStoreAnswers) {
  base::Mutex mutex;
  std::vector<std::thread> lane;
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    base::MutexLock lock(mutex);
    lane.emplace_back([this, call, done = std::move(done)]() mutable {
      absl::Status status = changes_.Read(call);
      done(std::move(status));
    });
  };
  const auto take = [&] {
    base::MutexLock lock(mutex);
    return std::exchange(lane, {});
  };
  options_.watch.poll_interval = absl::Milliseconds(1);
  Start();
  for (int i = 0; i < 200; ++i) {
    Watch watch(*stub_);
    changes_.Add(i + 1);
    if (i % 2 == 0) watch.Next();
    watch.context.TryCancel();
  }
  AwaitWatchers(0);
  service_->Shutdown();
  for (std::vector<std::thread> answered = take(); !answered.empty();
       answered = take()) {
    for (std::thread& thread : answered) thread.join();
  }
}

TEST_F(WatchCallTest, BoundsThoseWhoWatch) {
  options_.watch.max_watchers = 5;
  options_.watch.max_watchers_per_caller = 2;
  Start();
  auto first = std::make_unique<Watch>(*stub_);
  EXPECT_EQ(first->NextUser(), 0);
  Watch second(*stub_);
  EXPECT_EQ(second.NextUser(), 0);
  Watch third(*stub_);
  const grpc::Status status = third.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "OVERLOADED");

  first.reset();
  for (bool is_let_in = false; !is_let_in;) {
    Watch fourth(*stub_);
    v1::WatchProfilesResponse event;
    is_let_in = fourth.reader->Read(&event);
  }
}

// Whom it breaks off has what was told until then, and goes on from there.
TEST_F(WatchCallTest, BreaksOffWhoTakesNothing) {
  options_.watch.patience = absl::Milliseconds(300);
  Start();
  Watch watch(*stub_);
  v1::WatchProfilesResponse event = watch.Next();
  AddLarge();
  AwaitWatchers(0);
  std::int64_t last = 0;
  while (watch.reader->Read(&event)) last = event.profile().user_id();
  EXPECT_LT(last, 500);
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::CANCELLED);
  Watch again(*stub_, event.resume_token());
  EXPECT_EQ(again.NextUser(), last + 1);
}

// What comes last frees the context that it is broken off by.
TEST_F(WatchCallTest, ACallThatIsBrokenOffStaysThoughItsWriteEndsMeanwhile) {
  std::atomic<bool> is_there{false};
  std::function<void()> before_break;
  options_.watch.patience = absl::Milliseconds(300);
  options_.watch.before_break = [&] { before_break(); };
  Start();
  Watch watch(*stub_);
  v1::WatchProfilesResponse event = watch.Next();
  // Takes what there is, so that the write that is under way ends.
  before_break = [&] {
    std::thread taker([&] {
      while (watch.reader->Read(&event)) {
      }
    });
    absl::SleepFor(absl::Milliseconds(300));
    is_there = absl::StrContains(metrics_.Text(), "userprofile_watchers 1\n");
    watch.context.TryCancel();
    taker.join();
  };
  AddLarge();
  AwaitWatchers(0);
  EXPECT_TRUE(is_there);
}

TEST_F(WatchCallTest, WhoTakesNothingDoesNotKeepTheServerFromStopping) {
  options_.watch.patience_at_end = absl::Milliseconds(100);
  Start();
  Watch watch(*stub_);
  v1::WatchProfilesResponse event = watch.Next();
  AddLarge();
  absl::SleepFor(absl::Milliseconds(200));  // until a write is under way
  const base::SteadyTime stopped = base::SteadyTime::Now();
  service_->Shutdown();
  AwaitWatchers(0);
  EXPECT_LT(base::SteadyTime::Now() - stopped, absl::Seconds(20));
}

// Whatever is planted there would run with the rights of the server.
TEST_F(WatchCallTest, AsksNothingWhileTheSchemaIsNotAsNeeded) {
  std::atomic<int> asked{0};
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    ++asked;
    done(changes_.Read(call));
  };
  Watch watch(*stub_);
  EXPECT_EQ(watch.NextUser(), 0);
  readiness_.Set(store::SchemaChanged());
  absl::SleepFor(absl::Milliseconds(50));
  const int before = asked;
  changes_.Add(1);
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_LE(asked, before + 1);  // one may have been about to ask
  readiness_.Set(absl::OkStatus());
  EXPECT_EQ(watch.NextUser(), 1);
}

// The first transactions of a new table are not over yet.
TEST_F(WatchCallTest, WaitsForAPlaceToBeginAt) {
  std::atomic<bool> is_there{false};
  store_.read_changes = [&](const store::ChangesCall& call, auto, auto done) {
    absl::Status status = changes_.Read(call);
    if (!is_there) *call.page = {};
    done(std::move(status));
  };
  Watch watch(*stub_);
  AwaitWatchers(1);
  is_there = true;
  EXPECT_EQ(watch.NextUser(), 0);
}

TEST_F(WatchCallTest, AListGivesATokenToWatchFrom) {
  store_.scan = [](const store::ScanCall& call, auto, auto done) {
    *call.result = {.reached = call.after + 1};
    call.profiles->Add()->set_user_id(call.after + 1);
    call.NoteFound(call.after + 1);
    done(absl::OkStatus());
  };
  changes_.Add(1);
  v1::ListProfilesRequest request;
  request.set_page_size(1);
  const auto list = [&] {
    v1::ListProfilesResponse page;
    grpc::ClientContext context;
    const grpc::Status status = stub_->ListProfiles(&context, request, &page);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return page;
  };
  const v1::ListProfilesResponse first = list();
  changes_.Add(2);
  Watch watch(*stub_, first.watch_token());
  EXPECT_EQ(watch.NextUser(), 2);

  request.set_page_token(first.next_page_token());
  EXPECT_EQ(list().watch_token(), "");
  request.clear_page_token();
  changes_.Fail(store::SchemaChanged());
  const v1::ListProfilesResponse without = list();
  EXPECT_EQ(without.watch_token(), "");
  EXPECT_EQ(without.profiles_size(), 1);
}

}  // namespace
}  // namespace userprofile::api
