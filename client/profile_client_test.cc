#include "userprofile/client/profile_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "userprofile/client/errors.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::client {
namespace {

// A port of the loopback interface that stays ours for a test: bound, but with
// nobody listening, until a server shares it.
class Port {
 public:
  Port() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int yes = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket_, generic, size), 0);
    EXPECT_EQ(::getsockname(socket_, generic, &size), 0);
    target_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~Port() { ::close(socket_); }

  const std::string& target() const { return target_; }

 private:
  int socket_;
  std::string target_;
};

// A service that answers as the test says, by the number of the attempt.
class ScriptedService final : public v1::UserProfileService::Service {
 public:
  std::function<grpc::Status(int attempt, v1::Profile* profile)> answer =
      [](int, v1::Profile*) { return grpc::Status::OK; };
  std::atomic<bool> created{false};
  std::atomic<int> attempts{0};

  grpc::Status UpsertUser(grpc::ServerContext*,
                          const v1::UpsertUserRequest* request,
                          v1::UpsertUserResponse* response) override {
    response->set_created(created);
    return Answer(request->user_id(), response->mutable_profile());
  }
  grpc::Status GetProfile(grpc::ServerContext*,
                          const v1::GetProfileRequest* request,
                          v1::GetProfileResponse* response) override {
    return Answer(request->user_id(), response->mutable_profile());
  }
  // Tells of the two users after the token, of none for another one, then ends
  // with the answer.
  grpc::Status WatchProfiles(
      grpc::ServerContext*, const v1::WatchProfilesRequest* request,
      grpc::ServerWriter<v1::WatchProfilesResponse>* events) override {
    std::int64_t user_id = 0;
    const bool is_quiet =
        !absl::SimpleAtoi(request->resume_token(), &user_id) &&
        !request->resume_token().empty();
    for (int i = 0; i < 2 && !is_quiet; ++i) {
      v1::WatchProfilesResponse event;
      event.mutable_profile()->set_user_id(++user_id);
      event.set_resume_token(absl::StrCat(user_id));
      events->Write(event);
    }
    return answer(++attempts, nullptr);
  }
  grpc::Status CompleteOnboarding(
      grpc::ServerContext*, const v1::CompleteOnboardingRequest* request,
      v1::CompleteOnboardingResponse* response) override {
    return Answer(request->user_id(), response->mutable_profile());
  }

 private:
  grpc::Status Answer(std::int64_t user_id, v1::Profile* profile) {
    profile->set_user_id(user_id);
    return answer(++attempts, profile);
  }
};

grpc::Status Unavailable(const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("userprofile");
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now",
                      details.SerializeAsString());
}

std::unique_ptr<ProfileClient> MakeClient(const std::string& server,
                                          const ClientOptions& options = {}) {
  auto client = MakeProfileClient(server, options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

class ProfileClientTest : public testing::Test {
 protected:
  void StartServer() {
    int bound = 0;
    server_ = grpc::ServerBuilder()
                  .AddListeningPort(port_.target(),
                                    grpc::InsecureServerCredentials(), &bound)
                  .RegisterService(&service_)
                  .BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ASSERT_NE(bound, 0);
  }

  void StopServer() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  static v1::UpsertUserRequest Contact(std::int64_t user_id) {
    v1::UpsertUserRequest request;
    request.set_user_id(user_id);
    return request;
  }

  Port port_;
  ScriptedService service_;
  std::unique_ptr<grpc::Server> server_;
};

template <typename Response>
struct Waiter {
  std::promise<absl::StatusOr<Response>> promise;

  Done<Response> Callback() {
    return [this](absl::StatusOr<Response> r) { promise.set_value(r); };
  }
  absl::StatusOr<Response> Get() { return promise.get_future().get(); }
};

TEST_F(ProfileClientTest, CallsBlockUntilTheAnswer) {
  StartServer();
  const auto client = MakeClient(port_.target());
  const auto upserted = client->UpsertUser(Contact(7));
  ASSERT_TRUE(upserted.ok()) << upserted.status();
  EXPECT_EQ(upserted->profile().user_id(), 7);

  v1::GetProfileRequest get;
  get.set_user_id(8);
  const auto got = client->GetProfile(get);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->profile().user_id(), 8);

  v1::CompleteOnboardingRequest complete;
  complete.set_user_id(9);
  const auto completed = client->CompleteOnboarding(complete);
  ASSERT_TRUE(completed.ok()) << completed.status();
  EXPECT_EQ(completed->profile().user_id(), 9);
}

TEST_F(ProfileClientTest, CallsWithCallbacksReturnAtOnce) {
  StartServer();
  const auto client = MakeClient(port_.target());
  Waiter<v1::UpsertUserResponse> upserted;
  Waiter<v1::GetProfileResponse> got;
  Waiter<v1::CompleteOnboardingResponse> completed;
  client->UpsertUser(Contact(7), upserted.Callback());
  v1::GetProfileRequest get;
  get.set_user_id(8);
  client->GetProfile(get, got.Callback());
  v1::CompleteOnboardingRequest complete;
  complete.set_user_id(9);
  client->CompleteOnboarding(complete, completed.Callback());
  EXPECT_EQ(upserted.Get()->profile().user_id(), 7);
  EXPECT_EQ(got.Get()->profile().user_id(), 8);
  EXPECT_EQ(completed.Get()->profile().user_id(), 9);
}

TEST_F(ProfileClientTest, RecognizeTellsNewReturningAndOnboarded) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.created = true;
  EXPECT_EQ(*client->Recognize(Contact(7)), Recognition::kNew);
  service_.created = false;
  EXPECT_EQ(*client->Recognize(Contact(7)), Recognition::kReturning);
  service_.answer = [](int, v1::Profile* profile) {
    profile->set_onboarding_completed(true);
    return grpc::Status::OK;
  };
  EXPECT_EQ(*client->Recognize(Contact(7)), Recognition::kOnboarded);
  Waiter<Recognition> recognized;
  client->Recognize(Contact(7), recognized.Callback());
  EXPECT_EQ(*recognized.Get(), Recognition::kOnboarded);
}

TEST_F(ProfileClientTest, RecognizeNeverTakesAnErrorForANewUser) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.created = true;
  service_.answer = [](int, v1::Profile*) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "");
  };
  EXPECT_EQ(client->Recognize(Contact(7)).status().code(),
            absl::StatusCode::kNotFound);
  Waiter<Recognition> recognized;
  client->Recognize(Contact(7), recognized.Callback());
  EXPECT_EQ(recognized.Get().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ProfileClientTest, UnavailableIsTriedAgain) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.answer = [](int attempt, v1::Profile*) {
    return attempt < 3 ? Unavailable("DATABASE_UNAVAILABLE") : grpc::Status::OK;
  };
  EXPECT_TRUE(client->UpsertUser(Contact(7)).ok());
  EXPECT_EQ(service_.attempts, 3);

  service_.attempts = 0;
  EXPECT_TRUE(client->GetProfile({}).ok());
  EXPECT_EQ(service_.attempts, 3);

  service_.attempts = 0;
  EXPECT_TRUE(client->CompleteOnboarding({}).ok());
  EXPECT_EQ(service_.attempts, 3);
}

TEST_F(ProfileClientTest, WhatAStoppingServerCancelsIsTriedAgain) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.answer = [](int attempt, v1::Profile*) {
    return attempt < 3 ? grpc::Status::CANCELLED : grpc::Status::OK;
  };
  EXPECT_TRUE(client->UpsertUser(Contact(7)).ok());
  EXPECT_EQ(service_.attempts, 3);
}

TEST_F(ProfileClientTest, FiveAttemptsFailWithTheReasonOfTheLast) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.answer = [](int, v1::Profile*) {
    return Unavailable("SCHEMA_NOT_READY");
  };
  const auto response = client->UpsertUser(Contact(7));
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Reason(response.status()), "SCHEMA_NOT_READY");
  EXPECT_EQ(service_.attempts, 5);
}

TEST_F(ProfileClientTest, OtherErrorsAreNotTriedAgain) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.answer = [](int, v1::Profile*) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "user_id");
  };
  EXPECT_EQ(client->UpsertUser(Contact(0)).status(),
            absl::InvalidArgumentError("user_id"));
  EXPECT_EQ(service_.attempts, 1);
}

TEST_F(ProfileClientTest, AWatchGoesOnAfterTheLastEvent) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.answer = [](int attempt, v1::Profile*) {
    return attempt % 2 == 0 ? grpc::Status::CANCELLED
                            : Unavailable("SHUTTING_DOWN");
  };
  std::vector<std::int64_t> users;
  EXPECT_TRUE(client
                  ->Watch({},
                          [&](const v1::WatchProfilesResponse& event) {
                            users.push_back(event.profile().user_id());
                            if (users.size() == 3) {
                              StopServer();
                              StartServer();
                            }
                            return users.size() < 6;
                          })
                  .ok());
  EXPECT_THAT(users, testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(ProfileClientTest, AWatchEndsWithWhatTryingAgainDoesNotMend) {
  StartServer();
  const auto client = MakeClient(port_.target());
  service_.answer = [](int, v1::Profile*) {
    return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "gone");
  };
  int events = 0;
  EXPECT_EQ(
      client->Watch(
          {}, [&](const v1::WatchProfilesResponse&) { return ++events > 0; }),
      absl::OutOfRangeError("gone"));
  EXPECT_EQ(events, 2);
  EXPECT_EQ(service_.attempts, 1);
}

TEST_F(ProfileClientTest, AWatchEndsWhereNoServerIsForItsTimeout) {
  ClientOptions options;
  options.timeout = absl::Milliseconds(300);
  const auto client = MakeClient(port_.target(), options);
  const absl::Status status =
      client->Watch({}, [](const v1::WatchProfilesResponse&) { return true; });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;

  // Nor is one that says nothing.
  StartServer();
  options.timeout = absl::Seconds(1);
  service_.answer = [](int, v1::Profile*) { return Unavailable("NOT_NOW"); };
  const auto other = MakeClient(port_.target(), options);
  v1::WatchProfilesRequest request;
  request.set_resume_token("quiet");
  EXPECT_EQ(
      Reason(other->Watch(
          request, [](const v1::WatchProfilesResponse&) { return true; })),
      "NOT_NOW");
  EXPECT_GT(service_.attempts, 1);
}

TEST_F(ProfileClientTest, CallWithoutAnswerEndsAtItsTimeout) {
  StartServer();
  ClientOptions options;
  options.timeout = absl::Milliseconds(200);
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future();
  service_.answer = [ended](int, v1::Profile*) {
    ended.wait();
    return grpc::Status::OK;
  };
  const auto client = MakeClient(port_.target(), options);
  const absl::Time start = absl::Now();
  EXPECT_EQ(client->UpsertUser(Contact(7)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(190));
  end.set_value();
}

TEST_F(ProfileClientTest, WithoutAServerTheErrorSaysThatThereIsNoConnection) {
  ClientOptions options;
  options.timeout = absl::Milliseconds(200);
  const auto client = MakeClient(port_.target(), options);
  const absl::Status status = client->UpsertUser(Contact(7)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(),
            absl::StrCat("no connection to ", port_.target(), " within 200ms"));
}

// The callbacks of a process share few threads, which all wait here.
TEST_F(ProfileClientTest, HandlersOfACallbackServiceMayWaitForCalls) {
  ClientOptions options;
  options.timeout = absl::Seconds(1);
  const auto away = MakeClient(port_.target(), options);
  class : public v1::UserProfileService::CallbackService {
   public:
    grpc::ServerUnaryReactor* GetProfile(grpc::CallbackServerContext* context,
                                         const v1::GetProfileRequest* request,
                                         v1::GetProfileResponse*) override {
      EXPECT_TRUE(
          absl::IsDeadlineExceeded(away->GetProfile(*request).status()));
      auto* reactor = context->DefaultReactor();
      reactor->Finish(grpc::Status::OK);
      return reactor;
    }
    ProfileClient* away;
  } service;
  service.away = away.get();
  const Port port;
  const auto server =
      grpc::ServerBuilder()
          .AddListeningPort(port.target(), grpc::InsecureServerCredentials())
          .RegisterService(&service)
          .BuildAndStart();
  const auto client = MakeClient(port.target());
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      const auto answer = client->GetProfile(v1::GetProfileRequest());
      EXPECT_TRUE(answer.ok()) << answer.status();
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST_F(ProfileClientTest, CallsWaitForAServerThatIsNotUpYet) {
  const auto client = MakeClient(port_.target());
  ClientOptions impatient;
  impatient.timeout = absl::Milliseconds(300);
  // Seen to be refused before the server starts.
  ASSERT_FALSE(
      MakeClient(port_.target(), impatient)->UpsertUser(Contact(7)).ok());
  Waiter<v1::UpsertUserResponse> waiter;
  client->UpsertUser(Contact(7), waiter.Callback());
  StartServer();
  const auto response = waiter.Get();
  EXPECT_TRUE(response.ok()) << response.status();
}

TEST_F(ProfileClientTest, CallsOutliveARestartOfTheServer) {
  StartServer();
  const auto client = MakeClient(port_.target());
  for (int restart = 0; restart < 3; ++restart) {
    ASSERT_TRUE(client->UpsertUser(Contact(7)).ok());
    StopServer();
    Waiter<v1::UpsertUserResponse> waiter;
    client->UpsertUser(Contact(7), waiter.Callback());
    StartServer();
    const auto response = waiter.Get();
    ASSERT_TRUE(response.ok()) << response.status();
  }
}

TEST_F(ProfileClientTest, DestructionWaitsForTheCallsUnderWay) {
  StartServer();
  std::atomic<int> answered{0};
  {
    const auto client = MakeClient(port_.target());
    for (int i = 1; i <= 100; ++i) {
      client->UpsertUser(Contact(i), [&](const auto& response) {
        answered += response.ok() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(answered, 100);
}

TEST_F(ProfileClientTest, ServersOfOneNameTakeTurns) {
  StartServer();
  const Port other_port;
  ScriptedService other;
  const auto other_server =
      grpc::ServerBuilder()
          .AddListeningPort(other_port.target(),
                            grpc::InsecureServerCredentials())
          .RegisterService(&other)
          .BuildAndStart();
  const auto client = MakeClient(
      absl::StrCat("ipv4:", port_.target(), ",", other_port.target()));
  // Until both are connected, one may get all.
  for (int i = 0; i < 10000 && (service_.attempts < 5 || other.attempts < 5);
       ++i) {
    ASSERT_TRUE(client->UpsertUser(Contact(7)).ok());
  }
  EXPECT_GE(service_.attempts, 5);
  EXPECT_GE(other.attempts, 5);
}

}  // namespace
}  // namespace userprofile::client
