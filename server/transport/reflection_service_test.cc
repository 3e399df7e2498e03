#include "server/transport/reflection_service.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
#include "server/api/testing.h"
#include "server/transport/grpc_server.h"

namespace userprofile::transport {
namespace {

using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReflectionServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = GrpcServer::Start({.address = "127.0.0.1:0"}, connections_,
                                    {&service_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = ServerReflection::NewStub(grpc::CreateChannel(
        server_->address(), grpc::InsecureChannelCredentials()));
    context_.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    stream_ = stub_->ServerReflectionInfo(&context_);
  }

  ServerReflectionResponse Ask(
      const std::function<void(ServerReflectionRequest&)>& question) {
    ServerReflectionRequest request;
    request.set_host("host");
    question(request);
    ServerReflectionResponse response;
    EXPECT_TRUE(stream_->Write(request));
    EXPECT_TRUE(stream_->Read(&response));
    EXPECT_EQ(response.valid_host(), "host");
    EXPECT_EQ(response.original_request().SerializeAsString(),
              request.SerializeAsString());
    return response;
  }

  static std::vector<std::string> FilesIn(
      const ServerReflectionResponse& response) {
    std::vector<std::string> names;
    for (const std::string& bytes :
         response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      names.push_back(file.name());
    }
    return names;
  }

  ops::Metrics metrics_;
  access::Access access_{metrics_};
  ReflectionService service_{access_};
  access::Connections connections_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<ServerReflection::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<ServerReflectionRequest,
                                           ServerReflectionResponse>>
      stream_;
};

TEST_F(ReflectionServiceTest, ListsTheServices) {
  std::vector<std::string> names;
  const auto response = Ask([](auto& ask) { ask.set_list_services(""); });
  for (const auto& service : response.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names, ElementsAre("grpc.health.v1.Health",
                                 "grpc.reflection.v1alpha.ServerReflection",
                                 "userprofile.v1.UserProfileService"));
}

TEST_F(ReflectionServiceTest, SendsAFileWithAllThatItImports) {
  const std::string kFile = "userprofile/v1/user_profile_service.proto";
  const std::vector<std::string> all = {
      "google/protobuf/field_mask.proto", "google/protobuf/struct.proto",
      "google/protobuf/timestamp.proto",  "google/protobuf/any.proto",
      "google/rpc/status.proto",          "google/protobuf/descriptor.proto",
      "userprofile/v1/annotations.proto", kFile};
  for (const char* symbol :
       {"userprofile.v1.UserProfileService", "userprofile.v1.Profile",
        "userprofile.v1.UserProfileService.GetProfile",
        "userprofile.v1.Profile.user_id"}) {
    EXPECT_EQ(FilesIn(Ask(
                  [&](auto& ask) { ask.set_file_containing_symbol(symbol); })),
              all)
        << symbol;
  }
  EXPECT_EQ(FilesIn(Ask([&](auto& ask) { ask.set_file_by_filename(kFile); })),
            all);
}

TEST_F(ReflectionServiceTest, KnowsExtensions) {
  const auto numbers = Ask([](auto& ask) {
    ask.set_all_extension_numbers_of_type("userprofile.v1.Profile");
  });
  EXPECT_EQ(numbers.all_extension_numbers_response().base_type_name(),
            "userprofile.v1.Profile");
  EXPECT_EQ(numbers.all_extension_numbers_response().extension_number_size(),
            0);
}

TEST_F(ReflectionServiceTest, SaysWhatItDoesNotHaveAndGoesOn) {
  const std::vector<std::function<void(ServerReflectionRequest&)>> questions = {
      [](auto& ask) { ask.set_file_by_filename("no/such.proto"); },
      [](auto& ask) { ask.set_file_containing_symbol("no.Such"); },
      [](auto& ask) { ask.set_all_extension_numbers_of_type("no.Such"); },
      [](auto& ask) {
        ask.mutable_file_containing_extension()->set_containing_type("no.Such");
      },
      [](auto& ask) {
        ask.mutable_file_containing_extension()->set_containing_type(
            "userprofile.v1.Profile");
      },
      [](auto&) {},
  };
  for (const auto& question : questions) {
    const auto response = Ask(question);
    EXPECT_EQ(response.error_response().error_code(),
              grpc::StatusCode::NOT_FOUND);
    EXPECT_THAT(response.error_response().error_message(),
                HasSubstr("this server has no"));
  }
  EXPECT_TRUE(Ask([](auto& ask) {
                ask.set_list_services("");
              }).has_list_services_response());
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

// The deadline is later than that of the call: a server that waited for it
// would hang here until the client gives up.
TEST_F(ReflectionServiceTest, AStreamThatIsLeftOpenDoesNotHoldUpTheServer) {
  Ask([](auto& ask) { ask.set_list_services(""); });
  service_.Shutdown();
  server_->Shutdown(base::SteadyTime::InfiniteFuture());
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(api::ReasonOf(status), "SHUTTING_DOWN");
}

TEST_F(ReflectionServiceTest, AStreamThatComesLateEndsAtOnce) {
  service_.Shutdown();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  EXPECT_EQ(api::ReasonOf(stub_->ServerReflectionInfo(&context)->Finish()),
            "SHUTTING_DOWN");
}

TEST_F(ReflectionServiceTest, StreamsThatAreBusyEndToo) {
  std::vector<std::thread> clients;
  std::atomic<int> answers{0};
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([this, &answers] {
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
      const auto stream = stub_->ServerReflectionInfo(&context);
      ServerReflectionRequest request;
      request.set_list_services("");
      ServerReflectionResponse response;
      while (stream->Write(request) && stream->Read(&response)) ++answers;
      EXPECT_EQ(api::ReasonOf(stream->Finish()), "SHUTTING_DOWN");
    });
  }
  while (answers < 100) std::this_thread::yield();
  service_.Shutdown();
  for (std::thread& client : clients) client.join();
  server_->Shutdown(base::SteadyTime::InfiniteFuture());
}

TEST_F(ReflectionServiceTest, AStreamIsCancelledWhenTheServerHasNoTime) {
  Ask([](auto& ask) { ask.set_list_services(""); });
  server_->Shutdown(base::SteadyTime::Now());
  EXPECT_FALSE(stream_->Finish().ok());
}

}  // namespace
}  // namespace userprofile::transport
