#include "server/transport/health_client.h"

#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "base/status_macros.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace userprofile::transport {
namespace {

using grpc::health::v1::HealthCheckResponse;

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsFor(
    const TlsFiles& tls) {
  if (tls.empty()) return grpc::InsecureChannelCredentials();
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(
      std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  // Not where it need not be shown: one that is for servers only is refused.
  if (tls.client_certificate_required) {
    grpc::experimental::IdentityKeyCertPair own;
    USERPROFILE_ASSIGN_OR_RETURN(own.private_key, base::ReadFile(tls.key));
    USERPROFILE_ASSIGN_OR_RETURN(own.certificate_chain,
                                 base::ReadFile(tls.certificate));
    options.set_certificate_provider(
        std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
            std::vector{own}));
    options.watch_identity_key_cert_pairs();
  }
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

absl::Status CheckHealth(const std::string& address, const TlsFiles& tls,
                         absl::Duration timeout) {
  USERPROFILE_RETURN_IF_ERROR(tls.Validate());
  USERPROFILE_ASSIGN_OR_RETURN(const auto credentials, CredentialsFor(tls));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Without a host it listens on every address, loopback's too.
  const auto channel = grpc::CreateCustomChannel(
      address.rfind(':') == 0 ? absl::StrCat("localhost", address) : address,
      credentials, arguments);
  grpc::ClientContext context;
  context.set_deadline(
      gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout), GPR_TIMESPAN));
  HealthCheckResponse response;
  const grpc::Status status = grpc::health::v1::Health::NewStub(channel)->Check(
      &context, {}, &response);
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("no answer from ", address, ": ", status.error_message()));
  }
  if (response.status() == HealthCheckResponse::SERVING) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat(address, " says ",
                   HealthCheckResponse::ServingStatus_Name(response.status())));
}

}  // namespace userprofile::transport
