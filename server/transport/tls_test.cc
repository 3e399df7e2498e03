#include "server/transport/tls.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/read_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
#include "server/transport/grpc_server.h"
#include "server/transport/health_client.h"
#include "server/transport/health_service.h"
#include "tests/support/certificate.h"
#include "tests/support/temp_dir.h"

namespace userprofile::transport {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::Certificate;
using ::userprofile::testing::TempDir;

void Copy(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to,
                             std::filesystem::copy_options::overwrite_existing);
}

class TlsTest : public ::testing::Test {
 protected:
  void Install(const Certificate& certificate) {
    Copy(certificate.certificate_file(), files_.certificate);
    Copy(certificate.key_file(), files_.key);
  }

  void Write(const std::string& file, const std::string& text) {
    std::ofstream(file) << text;
  }

  void ExpectRefused(const std::string& because) {
    const absl::Status status = Tls::Load(files_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << because;
    EXPECT_THAT(std::string(status.message()), HasSubstr(because));
  }

  void StartServer() {
    auto tls = Tls::Load(files_);
    ASSERT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
    auto server = GrpcServer::Start({.address = "localhost:0",
                                     .credentials = tls_->ServerCredentials(),
                                     .metrics = &metrics_},
                                    connections_, {&health_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::shared_ptr<grpc::Channel> Trusting(const Certificate& certificate) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = *base::ReadFile(certificate.certificate_file());
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(server_->address(),
                                     grpc::SslCredentials(options), arguments);
  }

  static grpc::StatusCode Call(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    grpc::health::v1::HealthCheckResponse response;
    return grpc::health::v1::Health::NewStub(channel)
        ->Check(&context, {}, &response)
        .error_code();
  }

  const TempDir directory_;
  TlsFiles files_{directory_ / "tls.crt", directory_ / "tls.key"};
  ops::Readiness readiness_;
  HealthService health_{readiness_};
  std::unique_ptr<Tls> tls_;
  ops::Metrics metrics_;
  access::Connections connections_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(TlsTest, CountsHandshakesThatFail) {
  const Certificate own;
  const Certificate other;
  Install(own);
  StartServer();
  EXPECT_EQ(Call(Trusting(own)), grpc::StatusCode::OK);
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("userprofile_failed_tls_handshakes_total 0\n"));
  EXPECT_EQ(Call(Trusting(other)), grpc::StatusCode::UNAVAILABLE);
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (absl::StrContains(metrics_.Text(),
                           "userprofile_failed_tls_handshakes_total 0\n")) {
    ASSERT_LT(absl::Now(), end);
    absl::SleepFor(absl::Milliseconds(1));
  }
}

TEST_F(TlsTest, TheHealthCheckNeedsNoMoreThanTheServersOwnFiles) {
  const Certificate authority({.authority = true});
  Install(Certificate({.subject_alternative_names = "DNS:users.example",
                       .issuer = &authority}));
  const auto check = [this](const TlsFiles& files) {
    return CheckHealth(server_->address(), files, absl::Seconds(20)).code();
  };
  for (const bool required : {false, true}) {
    if (required) files_.client_ca = authority.certificate_file();
    files_.client_certificate_required = required;
    readiness_.Set(absl::OkStatus());
    StartServer();
    EXPECT_EQ(check(files_), absl::StatusCode::kOk) << required;
    readiness_.Set(absl::UnavailableError("away"));
    EXPECT_EQ(check(files_), absl::StatusCode::kUnavailable);
    readiness_.Set(absl::OkStatus());
    EXPECT_EQ(check({}), absl::StatusCode::kUnavailable);  // in the clear
  }
  EXPECT_EQ(check({"alone", ""}), absl::StatusCode::kInvalidArgument);
  server_.reset();
}

TEST_F(TlsTest, RefusesFilesThatMakeNoSense) {
  const Certificate one;
  const Certificate two;
  ExpectRefused("can't read " + files_.certificate);
  Install(one);
  EXPECT_TRUE(Tls::Load(files_).ok());

  Copy(two.key_file(), files_.key);
  ExpectRefused("is not that of the certificate");
  Copy(one.certificate_file(), files_.key);
  ExpectRefused("no private key");
  Write(files_.key, "");
  ExpectRefused("tls.key is empty");

  Install(one);
  Copy(one.key_file(), files_.certificate);
  ExpectRefused("no certificate in PEM form");
  Copy(one.certificate_file(), files_.certificate);
  std::ofstream(files_.certificate, std::ios::app)
      << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  ExpectRefused("damaged");
  files_.certificate = directory_.path();
  ExpectRefused("can't read " + directory_.path());
}

TEST_F(TlsTest, RefusesACertificateThatHoldsAtAnotherTime) {
  Install(Certificate({.ends = -absl::Seconds(1)}));
  ExpectRefused("not now");
  Install(Certificate({.begins = absl::Hours(1), .ends = absl::Hours(2)}));
  ExpectRefused("not now");
}

// gRPC would say so only in a handshake, after the old one was given up.
TEST_F(TlsTest, RefusesWhatOpenSslFindsTooWeakToServeWith) {
  const Certificate weak({.rsa_bits = 1024});
  Install(weak);
  ExpectRefused("too small");
  Install(Certificate({.rsa_bits = 2048}));
  EXPECT_TRUE(Tls::Load(files_).ok());
  std::ofstream(files_.certificate, std::ios::app)
      << *base::ReadFile(weak.certificate_file());
  ExpectRefused("too small");
}

TEST_F(TlsTest, RefusesFilesThatAreNotGivenTogether) {
  const Certificate certificate;
  Install(certificate);
  files_.client_ca = files_.certificate;
  EXPECT_TRUE(Tls::Load(files_).ok());
  Write(directory_ / "ca", "no certificate");
  files_.client_ca = directory_ / "ca";
  ExpectRefused("no certificate in PEM form");

  EXPECT_TRUE(TlsFiles().Validate().ok());
  EXPECT_FALSE((TlsFiles{"a", ""}.Validate().ok()));
  EXPECT_FALSE((TlsFiles{"", "a"}.Validate().ok()));
  EXPECT_FALSE((TlsFiles{"", "", "a"}.Validate().ok()));
  EXPECT_FALSE((TlsFiles{"a", "a", "", true}.Validate().ok()));
}

TEST_F(TlsTest, KnowsUntilWhenTheCertificateHolds) {
  Install(Certificate({.ends = absl::Hours(5)}));
  const auto tls = Tls::Load(files_);
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_LT(absl::AbsDuration((*tls)->expires() - absl::Now() - absl::Hours(5)),
            absl::Minutes(5));
}

TEST_F(TlsTest, NewConnectionsGetANewCertificateAndOldOnesStay) {
  const Certificate one;
  const Certificate two;
  Install(one);
  StartServer();
  const auto old_connection = Trusting(one);
  EXPECT_EQ(Call(old_connection), grpc::StatusCode::OK);
  EXPECT_EQ(Call(Trusting(two)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(tls_->Reload().value_or(true), false);

  Install(two);
  EXPECT_TRUE(tls_->Reload().value_or(false));
  EXPECT_EQ(Call(Trusting(two)), grpc::StatusCode::OK);
  EXPECT_EQ(Call(Trusting(one)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(old_connection), grpc::StatusCode::OK);
}

TEST_F(TlsTest, FilesThatMakeNoSenseLeaveTheOldCertificateInForce) {
  const Certificate one;
  const Certificate two;
  Install(one);
  StartServer();
  Copy(two.certificate_file(), files_.certificate);
  EXPECT_FALSE(tls_->Reload().ok());
  EXPECT_EQ(Call(Trusting(one)), grpc::StatusCode::OK);
  std::filesystem::remove(files_.key);
  EXPECT_FALSE(tls_->Reload().ok());
  EXPECT_EQ(Call(Trusting(one)), grpc::StatusCode::OK);

  Install(two);
  EXPECT_TRUE(tls_->Reload().ok());
  EXPECT_EQ(Call(Trusting(two)), grpc::StatusCode::OK);
}

TEST_F(TlsTest, NobodyIsAnsweredInTheClear) {
  Install(Certificate());
  StartServer();
  EXPECT_EQ(Call(grpc::CreateChannel(server_->address(),
                                     grpc::InsecureChannelCredentials())),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace userprofile::transport
