#include "server/transport/grpc_server.h"

#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/api/testing.h"
#include "server/api/user_profile_service.h"
#include "server/transport/health_service.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::transport {
namespace {

using ::testing::HasSubstr;

class GrpcServerTest : public ::testing::Test {
 protected:
  GrpcServerTest() { readiness_.Set(absl::OkStatus()); }

  absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const std::string& address) {
    return GrpcServer::Start({.address = address}, {&service_, &health_});
  }

  static std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }

  static grpc::Status Get(const std::string& address) {
    grpc::ClientContext context;
    v1::GetProfileRequest request;
    request.set_user_id(1);
    v1::GetProfileResponse response;
    return v1::UserProfileService::NewStub(Connect(address))
        ->GetProfile(&context, request, &response);
  }

  api::ScriptedStore store_;
  ops::Readiness readiness_;
  ops::Metrics metrics_;
  access::Access access_{metrics_};
  api::UserProfileService service_{store_, readiness_, metrics_, access_};
  HealthService health_{readiness_};
};

TEST_F(GrpcServerTest, TellsThePortThatItTook) {
  const auto server = Start("127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(absl::StartsWith((*server)->address(), "127.0.0.1:"));
  EXPECT_FALSE(absl::EndsWith((*server)->address(), ":0"));
  EXPECT_TRUE(Get((*server)->address()).ok());
}

TEST_F(GrpcServerTest, ListensOnAUnixSocket) {
  const std::string address = "unix:" + ::testing::TempDir() +
                              "grpc_server_test." + std::to_string(getpid());
  const auto server = Start(address);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->address(), address);
  EXPECT_TRUE(Get(address).ok());
}

TEST_F(GrpcServerTest, RefusesAnAddressInUse) {
  const auto first = Start("127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  const auto second = Start((*first)->address());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr((*first)->address()));
  EXPECT_TRUE(Get((*first)->address()).ok());
}

TEST_F(GrpcServerTest, RefusesAnAddressThatIsNotItsOwn) {
  EXPECT_EQ(Start("192.0.2.1:0").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Start("no address").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(GrpcServerTest, ShutdownWaitsForWhatIsInFlight) {
  auto server = Start("127.0.0.1:0");
  ASSERT_TRUE(server.ok());
  std::promise<store::Done> arrived;
  std::atomic<bool> first{true};
  store_.read = [&](auto, auto, auto done) {
    if (first.exchange(false)) {
      arrived.set_value(std::move(done));
    } else {
      done(absl::OkStatus());
    }
  };
  auto call =
      std::async(std::launch::async, [&] { return Get((*server)->address()); });
  store::Done done = arrived.get_future().get();
  auto shutdown = std::async(std::launch::async, [&] {
    (*server)->Shutdown(base::SteadyTime::Now() + absl::Seconds(60));
  });
  // The port refuses new callers while the old one still waits.
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (Get((*server)->address()).ok() && absl::Now() < end) {
  }
  EXPECT_EQ(shutdown.wait_for(std::chrono::seconds(0)),
            std::future_status::timeout);
  done(absl::OkStatus());
  EXPECT_TRUE(call.get().ok());
  shutdown.get();
}

TEST_F(GrpcServerTest, ShutdownCancelsAtItsDeadline) {
  auto server = Start("127.0.0.1:0");
  ASSERT_TRUE(server.ok());
  std::promise<void> arrived;
  std::thread worker;
  store_.read = [&](auto, store::CallContext context, auto done) {
    worker = std::thread(
        [context = std::move(context), done = std::move(done)]() mutable {
          while (!context.cancelled()) std::this_thread::yield();
          done(base::MakeError(absl::StatusCode::kCancelled, "", "CANCELLED"));
        });
    arrived.set_value();
  };
  auto call =
      std::async(std::launch::async, [&] { return Get((*server)->address()); });
  arrived.get_future().wait();
  (*server)->Shutdown(base::SteadyTime::Now());
  EXPECT_FALSE(call.get().ok());
  worker.join();
}

}  // namespace
}  // namespace userprofile::transport
