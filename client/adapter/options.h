#ifndef USERPROFILE_CLIENT_ADAPTER_OPTIONS_H_
#define USERPROFILE_CLIENT_ADAPTER_OPTIONS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/programs/service.h"
#include "ops/command_line.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// Each adds one command of userprofile-adapter, with its flags, to the command
// line.
void AddStdinCommand(ops::CommandLine& command_line);
void AddPollCommand(ops::CommandLine& command_line);
void AddReplayCommand(ops::CommandLine& command_line);
void AddProxyCommand(ops::CommandLine& command_line);
void AddWebhookCommand(ops::CommandLine& command_line);

using programs::AddServiceFlags;
using programs::ServiceOptions;

// The client of that service, whose contacts go together; errors are those of
// programs::MakeClient.
absl::StatusOr<std::unique_ptr<client::ProfileClient>> Connect(
    const ServiceOptions& options);

// Reads a secret: from the file if one is named, else from the environment.
// There is no flag that takes a secret, for everybody on the machine can read
// a command line. White space around it is taken off. INVALID_ARGUMENT, which
// says what to do, if there is none, or the file can't be read. No error holds
// a part of the secret.
absl::StatusOr<std::string> ReadSecret(const std::string& file,
                                       const char* variable);

// A secret without which a command does not work: "bot token" is read from
// --bot-token-file or USERPROFILE_BOT_TOKEN.
struct SecretOption {
  const char* name;
  std::string flag;
  std::string file = {};
};
void AddSecretFlag(ops::Command command, SecretOption& option);
absl::StatusOr<std::string> ReadSecret(const SecretOption& option);

// Whether both are equal, in a time that does not tell where they differ.
bool SecretsEqual(const std::string& a, const std::string& b);

// Tells why the program ends, on stderr, and returns its exit code.
int Fail(const absl::Status& status);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_OPTIONS_H_
