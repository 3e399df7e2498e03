#ifndef USERPROFILE_CLIENT_ADAPTER_FLAGS_H_
#define USERPROFILE_CLIENT_ADAPTER_FLAGS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ops/command_line.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// The flags of the service that is called.
struct ServiceFlags {
  std::string server;
  absl::Duration timeout = absl::Seconds(10);
  bool tls = false;
  client::TlsOptions tls_files;
  std::string token_file;
};
void AddServiceFlags(ops::Command command, ServiceFlags& flags);

// The client of that service. Errors are for people; INVALID_ARGUMENT is wrong
// usage.
absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
    const ServiceFlags& flags);

// Tells why the program ends, on stderr, and returns its exit code.
int Fail(const absl::Status& status);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_FLAGS_H_
