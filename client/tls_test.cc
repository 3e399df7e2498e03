// Encrypted connections, with a certificate that is made for the test.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
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
#include "tests/support/temp_dir.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A self-signed certificate for "localhost" and its key, in two files.
class Certificate {
 public:
  Certificate() {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(
        nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509, key, EVP_sha256());
    std::FILE* file = std::fopen(certificate_file.c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
    file = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
  }

 private:
  const userprofile::testing::TempDir directory_;

 public:
  const std::string certificate_file = directory_ / "certificate.pem";
  const std::string key_file = directory_ / "key.pem";
};

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
    options.pem_root_certs = ReadAll(clients_.certificate_file);
    options.pem_key_cert_pairs.push_back(
        {ReadAll(servers_.key_file), ReadAll(servers_.certificate_file)});
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

  Certificate servers_;
  Certificate clients_;
  RememberingService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(TlsTest, BelievesTheCertificateOfTheCaFileOnly) {
  StartServer(false);
  ClientOptions options;
  options.tls = TlsOptions{servers_.certificate_file, "", ""};
  EXPECT_TRUE(Call(options).ok()) << Call(options);
  EXPECT_EQ(service_.authorization(), "");
  options.timeout = absl::Milliseconds(300);
  options.tls->ca_file = clients_.certificate_file;
  EXPECT_FALSE(Call(options).ok());
  options.tls.reset();
  EXPECT_FALSE(Call(options).ok());
}

TEST_F(TlsTest, ShowsItsCertificateAndItsToken) {
  StartServer(true);
  ClientOptions options;
  options.tls = TlsOptions{servers_.certificate_file, clients_.certificate_file,
                           clients_.key_file};
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
  half.tls = TlsOptions{"", clients_.certificate_file, ""};
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
