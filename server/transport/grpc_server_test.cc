#include "server/transport/grpc_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
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
    return GrpcServer::Start({.address = address}, connections_,
                             {&service_, &health_});
  }

  static std::string SocketPath() {
    return ::testing::TempDir() + "grpc_server_test." +
           std::to_string(getpid());
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
  access::Connections connections_;
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
  const std::string address = "unix:" + SocketPath();
  {
    const auto server = Start(address);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ((*server)->address(), address);
    EXPECT_TRUE(Get(address).ok());
  }
  EXPECT_NE(::access(SocketPath().c_str(), F_OK), 0);
}

TEST_F(GrpcServerTest, ReplacesASocketAndNothingElseThatLiesThere) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  SocketPath().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  close(dead);
  EXPECT_TRUE(Start("unix:" + SocketPath()).ok());
  std::ofstream(SocketPath()) << "precious";
  EXPECT_EQ(Start("unix:" + SocketPath()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(unlink(SocketPath().c_str()), 0);
}

TEST_F(GrpcServerTest, AConnectionThatSaysNothingIsClosed) {
  const auto server = GrpcServer::Start(
      {.address = "127.0.0.1:0", .handshake_timeout = absl::Milliseconds(50)},
      connections_, {&service_});
  ASSERT_TRUE(server.ok()) << server.status();
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(
      std::stoi((*server)->address().substr(sizeof("127.0.0.1")))));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  const timeval patience = {20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  char greeting[1000];
  ssize_t size;
  do {
    size = recv(fd, greeting, sizeof(greeting), 0);
  } while (size > 0);
  EXPECT_EQ(size, 0) << errno;
  close(fd);
}

TEST_F(GrpcServerTest, AFirstCallThatIsLetInMakesAConnectionKnown) {
  access::Connections connections({.max_stranger_bytes = 20'000});
  api::UserProfileService service(store_, readiness_, metrics_, access_,
                                  {.connections = &connections});
  const auto server = GrpcServer::Start({.address = "127.0.0.1:0"}, connections,
                                        {&service, &health_});
  ASSERT_TRUE(server.ok()) << server.status();
  for (const bool known : {true, false}) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(
        (*server)->address(), grpc::InsecureChannelCredentials(), arguments);
    if (known) {
      grpc::ClientContext context;
      v1::GetProfileRequest request;
      request.set_user_id(1);
      v1::GetProfileResponse response;
      EXPECT_TRUE(v1::UserProfileService::NewStub(channel)
                      ->GetProfile(&context, request, &response)
                      .ok());
    }
    // What anybody may ask, until it is cut off.
    const auto health = grpc::health::v1::Health::NewStub(channel);
    const absl::Time end = absl::Now() + absl::Seconds(20);
    bool served = true;
    for (int i = 0; served && (known ? i < 3000 : absl::Now() < end); ++i) {
      grpc::ClientContext context;
      grpc::health::v1::HealthCheckResponse response;
      served = health->Check(&context, {}, &response).ok();
    }
    EXPECT_EQ(served, known);
  }
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
