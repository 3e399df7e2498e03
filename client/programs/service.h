#ifndef USERPROFILE_CLIENT_PROGRAMS_SERVICE_H_
#define USERPROFILE_CLIENT_PROGRAMS_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "ops/command_line.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::programs {

// The service that a program calls.
struct ServiceOptions {
  std::string server = {};  // has to be given, if this is empty
  client::ClientOptions client_options = {};  // without what follows
  bool tls = false;
  client::TlsOptions tls_files = {};
  std::string token_file = {};
};
void AddServiceFlags(ops::Command command, ServiceOptions& options);

// The client of that service. Errors are for people; INVALID_ARGUMENT is wrong
// usage.
absl::StatusOr<std::unique_ptr<client::ProfileClient>> MakeClient(
    const ServiceOptions& options);

}  // namespace userprofile::programs

#endif  // USERPROFILE_CLIENT_PROGRAMS_SERVICE_H_
