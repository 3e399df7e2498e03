// Encrypted connections, with a certificate that is made for the test.

#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/certificate.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Answers everybody, and remembers what was said in "authorization".
class RememberingService final : public v1::UserProfileService::Service {
 public:
  grpc::Status UpsertUser(grpc::ServerContext* context,
                          const v1::UpsertUserRequest*,
                          v1::UpsertUserResponse*) override {
    const auto& metadata = context->client_metadata();
    const auto found = metadata.find("authorization");
    std::lock_guard<std::mutex> lock(mutex_);
    authorization_ =
        found == metadata.end()
            ? ""
            : std::string(found->second.data(), found->second.size());
    return grpc::Status::OK;
  }

  std::string authorization() {
    std::lock_guard<std::mutex> lock(mutex_);
    return authorization_;
  }

 private:
  std::mutex mutex_;
  std::string authorization_;
};

class TlsTest : public ::testing::Test {
 protected:
  void StartServer(bool wants_client_certificate) {
    grpc::SslServerCredentialsOptions options(
        wants_client_certificate
            ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    options.pem_root_certs = ReadAll(clients_.certificate_file());
    options.pem_key_cert_pairs.push_back(
        {ReadAll(servers_.key_file()), ReadAll(servers_.certificate_file())});
    server_ = grpc::ServerBuilder()
                  .AddListeningPort("localhost:0",
                                    grpc::SslServerCredentials(options), &port_)
                  .RegisterService(&service_)
                  .BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ASSERT_NE(port_, 0);
  }

  absl::Status Call(const ClientOptions& options) {
    const auto client =
        MakeProfileClient(absl::StrCat("localhost:", port_), options);
    EXPECT_TRUE(client.ok()) << client.status();
    v1::UpsertUserRequest contact;
    contact.set_user_id(7);
    return (*client)->UpsertUser(contact).status();
  }

  userprofile::testing::Certificate servers_;
  userprofile::testing::Certificate clients_;
  RememberingService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(TlsTest, BelievesTheCertificateOfTheCaFileOnly) {
  StartServer(false);
  ClientOptions options;
  options.tls = TlsOptions{servers_.certificate_file(), "", ""};
  EXPECT_TRUE(Call(options).ok()) << Call(options);
  EXPECT_EQ(service_.authorization(), "");
  options.timeout = absl::Milliseconds(300);
  options.tls->ca_file = clients_.certificate_file();
  EXPECT_FALSE(Call(options).ok());
  options.tls.reset();
  EXPECT_FALSE(Call(options).ok());
}

TEST_F(TlsTest, ShowsItsCertificateAndItsToken) {
  StartServer(true);
  ClientOptions options;
  options.tls = TlsOptions{servers_.certificate_file(),
                           clients_.certificate_file(), clients_.key_file()};
  options.token = "some-token";
  EXPECT_TRUE(Call(options).ok()) << Call(options);
  EXPECT_EQ(service_.authorization(), "Bearer some-token");
  options.timeout = absl::Milliseconds(300);
  options.tls->certificate_file.clear();
  options.tls->key_file.clear();
  EXPECT_FALSE(Call(options).ok());
}

TEST_F(TlsTest, OptionsThatMakeNoSenseAreRefused) {
  ClientOptions token_only;
  token_only.token = "some-token";
  ClientOptions half;
  half.tls = TlsOptions{"", clients_.certificate_file(), ""};
  ClientOptions missing;
  missing.tls = TlsOptions{"no-such-file.pem", "", ""};
  for (const ClientOptions& options : {token_only, half, missing}) {
    const absl::Status status =
        MakeProfileClient("localhost:1", options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("some-token")));
  }
}

}  // namespace
}  // namespace userprofile::client
