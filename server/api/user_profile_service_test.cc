#include "server/api/user_profile_service.h"

#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
#include "server/api/testing.h"
#include "server/api/trace.h"
#include "server/store/errors.h"
#include "server/transport/grpc_server.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class UserProfileServiceTest : public ::testing::Test {
 protected:
  UserProfileServiceTest() { readiness_.Set(absl::OkStatus()); }

  void SetUp() override { Start({}); }

  // Starts anew, with these options.
  void Start(UserProfileServiceOptions options) {
    options.connections = &connections_;
    server_.reset();
    service_ = std::make_unique<UserProfileService>(store_, readiness_,
                                                    metrics_, access_, options);
    auto server = transport::GrpcServer::Start({.address = "127.0.0.1:0"},
                                               connections_, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::UserProfileService::NewStub(channel_);
  }

  grpc::Status UpsertUser(const v1::UpsertUserRequest& request) {
    grpc::ClientContext context;
    return stub_->UpsertUser(&context, request, &upserted_);
  }
  grpc::Status GetProfile(std::int64_t user_id) {
    grpc::ClientContext context;
    v1::GetProfileRequest request;
    request.set_user_id(user_id);
    return stub_->GetProfile(&context, request, &got_);
  }
  grpc::Status CompleteOnboarding(
      const v1::CompleteOnboardingRequest& request) {
    grpc::ClientContext context;
    return stub_->CompleteOnboarding(&context, request, &completed_);
  }

  // Sends these very bytes as a request.
  grpc::Status Send(const std::string& method, const std::string& bytes) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer answer;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, "/userprofile.v1.UserProfileService/" + method, {},
                   &request, &answer,
                   [&](grpc::Status status) { done.set_value(status); });
    return done.get_future().get();
  }

  ScriptedStore store_;
  ops::Readiness readiness_;
  ops::Metrics metrics_;
  access::Access access_{metrics_};
  std::unique_ptr<UserProfileService> service_;
  access::Connections connections_;
  std::unique_ptr<transport::GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::UserProfileService::Stub> stub_;
  v1::UpsertUserResponse upserted_;
  v1::GetProfileResponse got_;
  v1::CompleteOnboardingResponse completed_;
};

v1::UpsertUserRequest Contact(std::int64_t user_id) {
  v1::UpsertUserRequest request;
  request.set_user_id(user_id);
  return request;
}

TEST_F(UserProfileServiceTest, UpsertUserAnswersWhatTheStoreDoes) {
  store_.contact = [](const auto& request, auto* response, auto, auto done) {
    *response->mutable_profile()->mutable_first_name() =
        request.identity().first_name();
    response->set_created(true);
    done(absl::OkStatus());
  };
  v1::UpsertUserRequest request = Contact(12345);
  request.mutable_identity()->set_first_name("Test");
  ASSERT_TRUE(UpsertUser(request).ok());
  EXPECT_TRUE(upserted_.created());
  EXPECT_EQ(upserted_.profile().first_name(), "Test");
}

TEST_F(UserProfileServiceTest, GetProfileAnswersFromAnyThread) {
  std::thread worker;
  store_.read = [&](store::ReadCall call, auto, auto done) {
    worker = std::thread([call, done = std::move(done)]() mutable {
      call.found(7)->set_user_id(call.user_ids.front());
      done(absl::OkStatus());
    });
  };
  EXPECT_TRUE(GetProfile(7).ok());
  EXPECT_EQ(got_.profile().user_id(), 7);
  worker.join();
}

TEST_F(UserProfileServiceTest, TheStoreGetsPhoneNumbersInE164) {
  std::string phone;
  store_.edit = [&](store::EditCall call, auto, auto done) {
    phone = call.changes.phone();
    call.profile->set_real_name("Real");
    call.profile->set_nickname("nick");
    call.profile->set_phone(phone);
    done(store::AlreadyOnboarded(call.user_id));
  };
  v1::CompleteOnboardingRequest request;
  request.set_user_id(1);
  request.mutable_answers()->set_real_name("Real");
  request.mutable_answers()->set_nickname("nick");
  request.mutable_answers()->set_phone("+98 912 345 6789");
  ASSERT_TRUE(CompleteOnboarding(request).ok());
  EXPECT_EQ(phone, "+989123456789");
  EXPECT_TRUE(completed_.already_completed());
}

TEST_F(UserProfileServiceTest, AnErrorOfTheStoreReachesTheCallerWithDetails) {
  store_.read = [](auto, auto, auto done) {
    done(base::MakeError(absl::StatusCode::kNotFound, "no such user",
                         "USER_NOT_FOUND", {{"user_id", "9"}}));
  };
  const grpc::Status status = GetProfile(9);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no such user");
  EXPECT_EQ(ReasonOf(status), "USER_NOT_FOUND");
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).metadata().at("user_id"),
            "9");
}

TEST_F(UserProfileServiceTest, InvalidRequestsNeverReachTheStore) {
  std::atomic<int> calls{0};
  store_.contact = [&](const auto&, auto*, auto, auto done) {
    ++calls;
    done(absl::OkStatus());
  };
  for (const std::int64_t id :
       {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1} << 53}) {
    const grpc::Status status = UpsertUser(Contact(id));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << id;
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELDS") << id;
    EXPECT_THAT(FieldsOf(status), ElementsAre("user_id")) << id;
  }
  EXPECT_EQ(calls, 0);
}

TEST_F(UserProfileServiceTest, OneErrorNamesEveryFieldAtFault) {
  v1::UpsertUserRequest request = Contact(0);
  v1::Identity& identity = *request.mutable_identity();
  identity.set_first_name(std::string("a\0b", 3));
  identity.set_last_name(std::string(10000, 'a'));
  identity.set_username("\x1b[31m");
  identity.set_language_code("not a tag");
  request.mutable_occurred_at()->set_nanos(-1);
  const grpc::Status status = UpsertUser(request);
  EXPECT_THAT(FieldsOf(status),
              ElementsAre("user_id", "identity.first_name",
                          "identity.last_name", "identity.username",
                          "identity.language_code", "occurred_at"));
  EXPECT_THAT(status.error_message(), HasSubstr("identity.username must"));
}

TEST_F(UserProfileServiceTest, EmptyAnswersAreInvalid) {
  v1::CompleteOnboardingRequest request;
  request.set_user_id(1);
  EXPECT_THAT(FieldsOf(CompleteOnboarding(request)), ElementsAre("answers"));
  request.mutable_answers();
  EXPECT_THAT(FieldsOf(CompleteOnboarding(request)),
              ElementsAre("answers.real_name", "answers.nickname"));
}

TEST_F(UserProfileServiceTest, TextThatIsNotUtf8IsMalformed) {
  const grpc::Status status = Send("UpsertUser", "\x12\x04\x0a\x02\xff\xfe");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(status), "MALFORMED_REQUEST");
  EXPECT_THAT(status.error_message(), HasSubstr("UTF-8"));
}

TEST_F(UserProfileServiceTest, BytesThatAreNoMessageAreMalformed) {
  const auto& service = *v1::Profile::descriptor()->file()->service(0);
  for (int i = 0; i < service.method_count(); ++i) {
    const std::string& method = service.method(i)->name();
    const grpc::Status status = Send(method, "hello");
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(ReasonOf(status), "MALFORMED_REQUEST") << method;
  }
}

TEST_F(UserProfileServiceTest, AMessageOfAMebibyteIsRefused) {
  // So that the connection is no stranger's, which would be broken for it.
  ASSERT_TRUE(UpsertUser(Contact(1)).ok());
  v1::UpsertUserRequest request = Contact(1);
  request.mutable_identity()->set_first_name(std::string(1 << 20, 'a'));
  EXPECT_EQ(UpsertUser(request).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(UpsertUser(Contact(1)).ok());
}

TEST_F(UserProfileServiceTest, WhatIsCompressedIsRefusedBeforeItIsUnpacked) {
  v1::UpsertUserRequest request = Contact(1);
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  EXPECT_EQ(stub_->UpsertUser(&context, request, &upserted_).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(UserProfileServiceTest, NothingIsTriedOnASchemaThatIsNotReady) {
  std::atomic<int> calls{0};
  store_.read = [&](auto, auto, auto done) {
    ++calls;
    done(absl::OkStatus());
  };
  readiness_.Set(base::MakeError(
      absl::StatusCode::kUnavailable,
      "users.first_name is missing; run `userprofile-server migrate up`",
      "SCHEMA_NOT_READY"));
  const grpc::Status status = GetProfile(1);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "SCHEMA_NOT_READY");
  EXPECT_THAT(status.error_message(), HasSubstr("users.first_name is missing"));
  EXPECT_EQ(calls, 0);

  readiness_.Set(absl::OkStatus());
  EXPECT_TRUE(GetProfile(1).ok());
  EXPECT_EQ(calls, 1);
}

TEST_F(UserProfileServiceTest, TheStoreGetsTheEarlierOfTwoDeadlines) {
  base::SteadyTime deadline;
  store_.read = [&](auto, store::CallContext context, auto done) {
    deadline = context.deadline;
    done(absl::OkStatus());
  };
  ASSERT_TRUE(GetProfile(1).ok());
  EXPECT_GT(deadline, base::SteadyTime::Now() + absl::Seconds(35));
  EXPECT_LE(deadline, base::SteadyTime::Now() + absl::Seconds(40));

  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(3)));
  v1::GetProfileRequest request;
  request.set_user_id(1);
  ASSERT_TRUE(stub_->GetProfile(&context, request, &got_).ok());
  EXPECT_LE(deadline, base::SteadyTime::Now() + absl::Seconds(4));
}

TEST_F(UserProfileServiceTest, TheStoreSeesThatACallerGaveUp) {
  std::promise<void> arrived;
  std::promise<bool> seen;
  std::thread worker;
  store_.read = [&](auto, store::CallContext context, auto done) {
    EXPECT_FALSE(context.cancelled());
    worker = std::thread([&seen, context = std::move(context),
                          done = std::move(done)]() mutable {
      const absl::Time end = absl::Now() + absl::Seconds(10);
      while (!context.cancelled() && absl::Now() < end) {
        std::this_thread::yield();
      }
      seen.set_value(context.cancelled());
      done(base::MakeError(absl::StatusCode::kCancelled, "", "CANCELLED"));
    });
    arrived.set_value();
  };
  grpc::ClientContext context;
  std::thread caller([&] {
    v1::GetProfileRequest request;
    request.set_user_id(1);
    EXPECT_EQ(stub_->GetProfile(&context, request, &got_).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  arrived.get_future().wait();
  context.TryCancel();
  EXPECT_TRUE(seen.get_future().get());
  caller.join();
  worker.join();
}

TEST_F(UserProfileServiceTest, ADeadlineThatPassesIsSeenAsGivingUp) {
  std::promise<void> gone;
  std::thread worker;
  store_.read = [&](auto, store::CallContext context, auto done) {
    worker = std::thread([&gone, context = std::move(context),
                          done = std::move(done)]() mutable {
      while (!context.cancelled()) std::this_thread::yield();
      done(absl::OkStatus());
      gone.set_value();
    });
  };
  grpc::ClientContext context;
  context.set_deadline(
      absl::ToChronoTime(absl::Now() + absl::Milliseconds(50)));
  v1::GetProfileRequest request;
  request.set_user_id(1);
  EXPECT_EQ(stub_->GetProfile(&context, request, &got_).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(10)),
            std::future_status::ready);
  worker.join();
}

TEST_F(UserProfileServiceTest, CountsCallsAndRecognitions) {
  store_.contact = [](const auto& request, auto* response, auto, auto done) {
    response->set_created(request.user_id() == 1);
    response->mutable_profile()->set_onboarding_completed(request.user_id() ==
                                                          3);
    done(absl::OkStatus());
  };
  for (const std::int64_t id : {1, 2, 3, 3, 0}) UpsertUser(Contact(id));
  server_->Shutdown(base::SteadyTime::InfiniteFuture());
  const std::string text = metrics_.Text();
  for (const char* line : {
           "userprofile_recognitions_total{outcome=\"created\"} 1\n",
           "userprofile_recognitions_total{outcome=\"returning\"} 1\n",
           "userprofile_recognitions_total{outcome=\"onboarded\"} 2\n",
           "userprofile_rpc_requests_total{code=\"OK\",method=\"UpsertUser\"} "
           "4\n",
           "userprofile_rpc_requests_total{code=\"INVALID_ARGUMENT\",method="
           "\"UpsertUser\"} 1\n",
           "userprofile_rpc_in_flight{method=\"UpsertUser\"} 0\n",
           "userprofile_rpc_duration_seconds_count{method=\"UpsertUser\"} 5\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(UserProfileServiceTest, AnAnswerThatNoClientTakesIsAnErrorThatSaysSo) {
  std::atomic<std::size_t> text = 4100;
  store_.read = [&](store::ReadCall call, auto, auto done) {
    for (const auto id : call.user_ids) {
      v1::Profile* profile = call.found(id);
      profile->set_user_id(id);
      profile->set_first_name(std::string(text, 'a'));
    }
    done(absl::OkStatus());
  };
  v1::BatchGetProfilesRequest request;
  for (int i = 1000; i > 0; --i) request.add_user_ids(i);
  const auto call = [&](v1::BatchGetProfilesResponse* response) {
    grpc::ClientContext context;
    return stub_->BatchGetProfiles(&context, request, response);
  };
  v1::BatchGetProfilesResponse response;
  const grpc::Status fits = call(&response);
  ASSERT_TRUE(fits.ok()) << fits.error_message();
  EXPECT_EQ(response.profiles_size(), 1000);
  EXPECT_EQ(response.profiles(0).user_id(), 1000);

  text = 4200;
  const grpc::Status status = call(&response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "ANSWER_TOO_LARGE");
  EXPECT_THAT(
      metrics_.Text(),
      HasSubstr("rpc_requests_total{code=\"FAILED_PRECONDITION\",method="
                "\"BatchGetProfiles\"} 1\n"));
}

TEST_F(UserProfileServiceTest, AListThatIsAllWrongIsRefusedInAFewWords) {
  v1::BatchGetProfilesRequest request;
  for (int i = 0; i < 1000; ++i) request.add_user_ids(-1);
  v1::BatchGetProfilesResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      stub_->BatchGetProfiles(&context, request, &response);
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELDS") << status.error_message();
  EXPECT_EQ(FieldsOf(status).size(), 16u);
  // As many as fit into a message, each in one byte.
  const grpc::Status many =
      Send("BatchGetProfiles",
           absl::StrCat("\x0a\xf0\xff\x03", std::string(65520, '\1')));
  EXPECT_THAT(FieldsOf(many), ElementsAre("user_ids"));
}

TEST_F(UserProfileServiceTest, LookupProfileNamesTheColumnAndTheOthers) {
  store_.find = [](store::FindCall call, auto, auto done) {
    EXPECT_EQ(call.column + "=" + call.value, "username=Sara");
    call.profile->set_user_id(7);
    call.others->Add(8);
    done(absl::OkStatus());
  };
  grpc::ClientContext context;
  v1::LookupProfileRequest request;
  request.set_username("@Sara");
  v1::LookupProfileResponse response;
  ASSERT_TRUE(stub_->LookupProfile(&context, request, &response).ok());
  EXPECT_EQ(response.profile().user_id(), 7);
  EXPECT_THAT(response.other_user_ids(), ElementsAre(8));
}

TEST_F(UserProfileServiceTest, UpdateProfileStoresWhatTheMaskNames) {
  store_.edit = [](store::EditCall call, auto, auto done) {
    EXPECT_EQ(call.user_id, 7);
    EXPECT_EQ(call.changes.phone(), "+989123456789");
    EXPECT_TRUE(call.changes.has_nickname());
    EXPECT_EQ(call.changes.nickname(), "");
    EXPECT_FALSE(call.changes.has_grade_year());
    EXPECT_EQ(call.changes.attributes().fields().count("streak"), 1u);
    EXPECT_FALSE(call.replace_attributes);
    EXPECT_FALSE(*call.onboarding_completed);
    EXPECT_EQ(*call.expected_revision, 3);
    call.profile->set_revision(4);
    done(absl::OkStatus());
  };
  v1::UpdateProfileRequest request;
  request.mutable_profile()->set_user_id(7);
  request.mutable_profile()->set_phone("+98 912 345 6789");
  request.mutable_profile()->set_grade_year("a text of the wrong kind\n");
  request.mutable_update_mask()->add_paths("phone");
  request.mutable_update_mask()->add_paths("nickname");
  request.mutable_update_mask()->add_paths("attributes.streak");
  request.set_expected_revision(3);
  request.set_reset_onboarding(true);
  v1::UpdateProfileResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->UpdateProfile(&context, request, &response).ok());
  }
  EXPECT_EQ(response.profile().revision(), 4);

  request.mutable_update_mask()->add_paths("grade_year");
  grpc::ClientContext context;
  EXPECT_THAT(FieldsOf(stub_->UpdateProfile(&context, request, &response)),
              ElementsAre("profile.grade_year"));
}

TEST_F(UserProfileServiceTest, DeleteUserMayAllowThatThereIsNone) {
  store_.erase = [](store::DeleteCall call, auto, auto done) {
    EXPECT_FALSE(call.expected_revision);
    done(store::UserNotFound(call.user_id));
  };
  v1::DeleteUserRequest request;
  request.set_user_id(7);
  v1::DeleteUserResponse response;
  for (const bool allowed : {false, true}) {
    request.set_allow_missing(allowed);
    grpc::ClientContext context;
    EXPECT_EQ(stub_->DeleteUser(&context, request, &response).error_code(),
              allowed ? grpc::StatusCode::OK : grpc::StatusCode::NOT_FOUND);
  }
}

TEST_F(UserProfileServiceTest, SessionsAreAnsweredAsTheStoreDoes) {
  v1::GetSessionRequest get;
  get.set_bot("shop");
  get.set_key("chat:7");
  v1::PutSessionRequest put;
  put.mutable_session()->set_bot("shop");
  put.mutable_session()->set_key("chat:7");
  v1::DeleteSessionRequest forget;
  forget.set_bot("shop");
  forget.set_key("chat:7");
  v1::GetSessionResponse got;
  v1::PutSessionResponse stored;
  v1::DeleteSessionResponse deleted;
  const auto call_all = [&] {
    grpc::ClientContext contexts[3];
    return std::vector<grpc::Status>{
        stub_->GetSession(&contexts[0], get, &got),
        stub_->PutSession(&contexts[1], put, &stored),
        stub_->DeleteSession(&contexts[2], forget, &deleted)};
  };
  for (const grpc::Status& status : call_all()) {
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  EXPECT_EQ(got.session().key(), "chat:7");
  EXPECT_EQ(stored.revision(), 1);
  for (const absl::Status& error :
       {store::SessionNotFound(), store::SessionMismatch(7),
        store::SessionsUnavailable()}) {
    store_.session = [&] { return error; };
    for (const grpc::Status& status : call_all()) {
      EXPECT_EQ(static_cast<int>(status.error_code()),
                static_cast<int>(error.code()));
      EXPECT_EQ(ReasonOf(status), base::ErrorReason(error));
    }
  }
}

// The trailer of that name; empty if there is none.
std::string TrailerOf(const grpc::ClientContext& context) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find(kTraceparent);
  if (found == trailers.end()) return "";
  return std::string(found->second.data(), found->second.size());
}

TEST_F(UserProfileServiceTest, ATraceComesBackWhateverTheAnswer) {
  const char sent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  for (const std::int64_t id : {1, 0}) {
    grpc::ClientContext context;
    context.AddMetadata(kTraceparent, sent);
    EXPECT_EQ(stub_->UpsertUser(&context, Contact(id), &upserted_).ok(),
              id == 1);
    EXPECT_EQ(TrailerOf(context), sent) << id;
  }
}

TEST_F(UserProfileServiceTest, ACallThatFailsGetsATraceIfItBroughtNone) {
  std::set<std::string> traces;
  for (const char* sent : {"", "", "00-nonsense", "~"}) {
    grpc::ClientContext context;
    if (*sent != '\0') context.AddMetadata(kTraceparent, sent);
    EXPECT_FALSE(stub_->UpsertUser(&context, Contact(0), &upserted_).ok());
    EXPECT_TRUE(IsTraceparent(TrailerOf(context))) << sent;
    traces.insert(TrailerOf(context));
  }
  EXPECT_EQ(traces.size(), 4u);
}

TEST_F(UserProfileServiceTest, ACallThatNobodyLogsGetsNoTrace) {
  grpc::ClientContext context;
  EXPECT_TRUE(stub_->UpsertUser(&context, Contact(1), &upserted_).ok());
  EXPECT_EQ(TrailerOf(context), "");
}

TEST_F(UserProfileServiceTest, ASlowCallIsListedWithItsTrace) {
  store_.read = [](auto, store::CallContext context, auto done) {
    context.times->queue = absl::Milliseconds(3);
    context.times->database = absl::Milliseconds(7);
    absl::SleepFor(absl::Milliseconds(20));
    done(absl::OkStatus());
  };
  RecentFailures recent;
  Start({.slow_request = absl::Milliseconds(20), .recent_failures = &recent});
  grpc::ClientContext context;
  v1::GetProfileRequest request;
  request.set_user_id(1);
  ASSERT_TRUE(stub_->GetProfile(&context, request, &got_).ok());
  const std::vector<Failure> listed = recent.List();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].method, "GetProfile");
  EXPECT_EQ(listed[0].code, "OK");
  EXPECT_EQ(listed[0].caller, access::AnybodyTrusted()->name);
  EXPECT_GE(listed[0].duration, absl::Milliseconds(20));
  ASSERT_TRUE(IsTraceparent(TrailerOf(context)));
  EXPECT_EQ(listed[0].trace_id, TraceId(TrailerOf(context)));
}

TEST_F(UserProfileServiceTest, AnswersManyCallersAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 8; ++c) {
    callers.emplace_back([&, c] {
      for (int i = 1; i <= 200; ++i) {
        grpc::ClientContext context;
        v1::GetProfileRequest request;
        v1::GetProfileResponse response;
        request.set_user_id(c * 1000 + i);
        if (!stub_->GetProfile(&context, request, &response).ok() ||
            response.profile().user_id() != request.user_id()) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

// gRPC would say so without a reason, and count the call as cancelled.
TEST_F(UserProfileServiceTest, ACallIsAnsweredShortlyBeforeItsDeadline) {
  store_.late = [](store::Verb verb) {
    EXPECT_EQ(verb, store::Verb::kRead);
    return base::MakeError(absl::StatusCode::kUnavailable, "stalled",
                           "REPLICATION_STALLED");
  };
  Start({.max_timeout = absl::Milliseconds(300)});
  std::promise<std::pair<store::ReadCall, store::Done>> arrived;
  store_.read = [&](auto call, auto context, auto done) {
    EXPECT_FALSE(context.cancelled());
    arrived.set_value({std::move(call), std::move(done)});
  };
  const base::SteadyTime start = base::SteadyTime::Now();
  const grpc::Status status = GetProfile(1);
  EXPECT_GE(base::SteadyTime::Now() - start, absl::Milliseconds(200));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "REPLICATION_STALLED");

  // The store may be done with it at any later time.
  auto [call, done] = arrived.get_future().get();
  call.found(1)->set_real_name("Ada");
  done(absl::OkStatus());
  EXPECT_FALSE(got_.has_profile());
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("rpc_requests_total{code=\"UNAVAILABLE\",method="
                        "\"GetProfile\"} 1\n"));
}

TEST_F(UserProfileServiceTest, ALateCallSaysWhyTheServerIsNotReady) {
  std::promise<store::Done> arrived;
  store_.read = [&](auto, auto, auto done) {
    readiness_.SetWrites(ops::StateOf(v1::ERROR_REASON_DATABASE_READ_ONLY));
    arrived.set_value(std::move(done));
  };
  Start({.max_timeout = absl::Milliseconds(300)});
  const grpc::Status status = GetProfile(1);
  EXPECT_EQ(ReasonOf(status), "DATABASE_READ_ONLY");
  arrived.get_future().get()(absl::OkStatus());
}

class LimitedServiceTest : public UserProfileServiceTest {
 protected:
  // From any thread.
  grpc::Status Get() {
    grpc::ClientContext context;
    v1::GetProfileRequest request;
    request.set_user_id(1);
    v1::GetProfileResponse response;
    return stub_->GetProfile(&context, request, &response);
  }

  static void ExpectRefused(const grpc::Status& status, const char* reason) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(ReasonOf(status), reason);
    EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status).has_retry_delay());
  }
};

TEST_F(LimitedServiceTest, RefusesACallerThatIsTooFast) {
  Start({.limits = {.max_rate = 1}});
  EXPECT_TRUE(Get().ok());
  ExpectRefused(Get(), "RATE_LIMITED");
}

TEST_F(LimitedServiceTest, RefusesMoreBytesThanItWillHold) {
  Start({.limits = {.max_in_flight_bytes = 3}});  // one request has 2
  std::promise<store::Done> arrived;
  store_.read = [&](auto, auto, auto done) {
    arrived.set_value(std::move(done));
  };
  auto first = std::async(std::launch::async, [this] { return Get(); });
  store::Done done = arrived.get_future().get();
  store_.read = [](auto, auto, auto answer) { answer(absl::OkStatus()); };
  ExpectRefused(Get(), "OVERLOADED");
  done(absl::OkStatus());
  done = nullptr;
  EXPECT_TRUE(first.get().ok());
  // gRPC is done with a call a little after its client.
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (!Get().ok()) ASSERT_LT(absl::Now(), end);
}

}  // namespace
}  // namespace userprofile::api
