#include "server/transport/health_service.h"

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
#include "server/api/testing.h"
#include "server/transport/grpc_server.h"

namespace userprofile::transport {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kService[] = "userprofile.v1.UserProfileService";

class HealthServiceTest : public ::testing::Test {
 protected:
  // One Watch stream; at the latest after 20 s it ends by its deadline.
  struct Watch {
    Watch(Health::Stub& stub, const std::string& service) {
      context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
      HealthCheckRequest request;
      request.set_service(service);
      reader = stub.Watch(&context, request);
    }
    // The next state; UNKNOWN if the stream ended.
    HealthCheckResponse::ServingStatus Next() {
      HealthCheckResponse response;
      return reader->Read(&response) ? response.status()
                                     : HealthCheckResponse::UNKNOWN;
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
  };

  void SetUp() override {
    auto server =
        GrpcServer::Start({.address = "127.0.0.1:0"}, connections_, {&health_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = Health::NewStub(grpc::CreateChannel(
        server_->address(), grpc::InsecureChannelCredentials()));
  }

  // UNKNOWN if the call fails.
  HealthCheckResponse::ServingStatus Check(const std::string& service) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    return stub_->Check(&context, request, &response).ok()
               ? response.status()
               : HealthCheckResponse::UNKNOWN;
  }

  void SetBroken() {
    readiness_.Set(base::MakeError(absl::StatusCode::kUnavailable, "broken",
                                   "SCHEMA_NOT_READY"));
  }

  ops::Readiness readiness_;
  HealthService health_{readiness_};
  access::Connections connections_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthServiceTest, CheckFollowsReadiness) {
  for (const char* service : {"", kService}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::NOT_SERVING) << service;
  }
  readiness_.Set(absl::OkStatus());
  for (const char* service : {"", kService}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::SERVING) << service;
  }
  SetBroken();
  EXPECT_EQ(Check(""), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthServiceTest, CheckKnowsNoOtherService) {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("no.such.Service");
  HealthCheckResponse response;
  const grpc::Status status = stub_->Check(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(api::ReasonOf(status), "SERVICE_UNKNOWN");
}

TEST_F(HealthServiceTest, WatchTellsTheStateAndEachChange) {
  for (const char* service : {"", kService}) {
    SetBroken();
    Watch watch(*stub_, service);
    EXPECT_EQ(watch.Next(), HealthCheckResponse::NOT_SERVING);
    readiness_.Set(absl::OkStatus());
    EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVING);
    SetBroken();
    EXPECT_EQ(watch.Next(), HealthCheckResponse::NOT_SERVING);
    readiness_.Set(absl::OkStatus());
    EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVING);
    watch.context.TryCancel();
    EXPECT_EQ(watch.reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_F(HealthServiceTest, WatchOfAnUnknownServiceSaysSoAndGoesOn) {
  Watch watch(*stub_, "no.such.Service");
  EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  readiness_.Set(absl::OkStatus());
  health_.Shutdown();
  EXPECT_EQ(watch.Next(), HealthCheckResponse::UNKNOWN);
}

TEST_F(HealthServiceTest, ShutdownTellsTheLastStateAndEndsEveryWatch) {
  readiness_.Set(absl::OkStatus());
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 5; ++i) {
    watches.push_back(std::make_unique<Watch>(*stub_, ""));
    ASSERT_EQ(watches.back()->Next(), HealthCheckResponse::SERVING);
  }
  readiness_.ShutDown();
  health_.Shutdown();
  for (const auto& watch : watches) {
    EXPECT_EQ(watch->Next(), HealthCheckResponse::NOT_SERVING);
    EXPECT_EQ(watch->Next(), HealthCheckResponse::UNKNOWN);
    EXPECT_EQ(watch->reader->Finish().error_code(),
              grpc::StatusCode::UNAVAILABLE);
  }
  // Would wait for ever for a watch that is left.
  server_->Shutdown(base::SteadyTime::InfiniteFuture());
}

TEST_F(HealthServiceTest, AWatchThatComesAfterShutdownEndsToo) {
  health_.Shutdown();
  Watch watch(*stub_, "");
  EXPECT_EQ(watch.Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(watch.Next(), HealthCheckResponse::UNKNOWN);
}

TEST_F(HealthServiceTest, AWatcherThatNeverReadsKeepsNoServerAlive) {
  Watch watch(*stub_, "");
  for (int i = 0; i < 1000; ++i) {
    readiness_.Set(absl::OkStatus());
    SetBroken();
  }
  health_.Shutdown();
  server_->Shutdown(base::SteadyTime::Now());
}

TEST_F(HealthServiceTest, SurvivesWatchersComingAndGoingDuringChanges) {
  std::atomic<bool> stop{false};
  std::thread changes([&] {
    while (!stop) {
      readiness_.Set(absl::OkStatus());
      SetBroken();
    }
  });
  std::vector<std::thread> watchers;
  for (int t = 0; t < 4; ++t) {
    watchers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        Watch watch(*stub_, "");
        EXPECT_NE(watch.Next(), HealthCheckResponse::UNKNOWN);
        watch.context.TryCancel();
        watch.reader->Finish();
      }
    });
  }
  for (std::thread& watcher : watchers) watcher.join();
  stop = true;
  changes.join();
  readiness_.Set(absl::OkStatus());
  Watch watch(*stub_, "");
  EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVING);
}

}  // namespace
}  // namespace userprofile::transport
