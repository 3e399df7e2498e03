#ifndef USERPROFILE_CLIENT_ADAPTER_FLAGS_H_
#define USERPROFILE_CLIENT_ADAPTER_FLAGS_H_

#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// Adds `--name VALUE`, which the environment variable USERPROFILE_NAME sets
// too; the variable's value is the default.
template <typename T>
CLI::Option* AddFlag(CLI::App* command, const std::string& flag, T& variable,
                     const std::string& help) {
  return command->add_option(flag, variable, help)
      ->envname(absl::StrCat("USERPROFILE_",
                             absl::AsciiStrToUpper(absl::StrReplaceAll(
                                 flag.substr(2), {{"-", "_"}}))))
      ->capture_default_str();
}

// The flags of the service that is called.
struct ServiceFlags {
  std::string server;
  std::string timeout = "10s";
  bool tls = false;
  client::TlsOptions tls_files;
  std::string token_file;
};
void AddServiceFlags(CLI::App* command, ServiceFlags& flags);

// The client of that service. Errors are for people; INVALID_ARGUMENT is wrong
// usage.
absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
    const ServiceFlags& flags);

// A text that passed CheckDuration().
absl::Duration DurationOf(const std::string& text);

// Tells why the program ends, on stderr, and returns its exit code.
int Fail(const absl::Status& status);

// Whether a text is a time from a millisecond to a day, for CLI11: empty if it
// is, else what it should be.
std::string CheckDuration(const std::string& text);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_FLAGS_H_
