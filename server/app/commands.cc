#include "server/app/commands.h"

#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>
#include <string>

#include "base/error_info.h"
#include "nlohmann/json.hpp"
#include "server/access/token.h"
#include "server/app/version.h"
#include "server/postgres/errors.h"
#include "server/transport/grpc_server.h"
#include "server/transport/health_client.h"

namespace userprofile::app {

void AddDatabaseFlags(ops::Command command,
                      postgres::DatabaseOptions& options) {
  const ops::Flag database = ops::AddFlag(
      command, "--database", options.database,
      "embedded:DIR (a private PostgreSQL in DIR) or postgresql://...");
  // Neither wins, wherever they come from: it would be the wrong database.
  ops::AddFlag(command, "--database-file", options.database_file,
               "A file that holds the same, to keep its password from view")
      .Excludes(database);
}

void AddListenFlag(ops::Command command, std::string& address) {
  ops::AddFlag(command, "--listen", address,
               "HOST:PORT or unix:PATH for calls (gRPC)");
}

void AddTlsFlags(ops::Command command, transport::TlsFiles& files) {
  ops::AddFlag(command, "--tls-cert", files.certificate,
               "PEM file with the certificate of the port for calls");
  ops::AddFlag(command, "--tls-key", files.key, "PEM file with its key");
  ops::AddFlag(command, "--tls-client-ca", files.client_ca,
               "PEM file with whose client certificates to believe");
  ops::AddSwitch(command, "--tls-require-client-cert",
                 files.client_certificate_required,
                 "Talk only to clients that show such a certificate");
}

int Fail(const absl::Status& status) {
  std::cerr << "userprofile-server: " << std::string(status.message())
            << std::endl;
  // Unless it was the data that the database refused.
  if (absl::IsInvalidArgument(status) && postgres::SqlState(status).empty()) {
    return ops::kWrongUsage;
  }
  return base::ErrorReason(status) ==
                 base::ReasonName(v1::ERROR_REASON_SCHEMA_NOT_READY)
             ? kExitSchemaNotReady
             : ops::kFailed;
}

namespace {

// The image's check may take 3 s.
constexpr absl::Duration kHealthPatience = absl::Seconds(2);

int CreateToken(bool json) {
  const std::string token = access::NewToken();
  const std::string hash = access::ToHex(access::HashOf(token));
  if (json) {
    std::cout << nlohmann::ordered_json(
                     {{"token", token}, {"token_sha256", hash}})
              << std::endl;
  } else {
    std::cout << "token         " << token << "\n"
              << "token_sha256  " << hash << "\n\n"
              << "The token is for the caller, and is shown only now. The hash "
                 "is for the file of\n--callers, under \"token_sha256\" of "
                 "that caller.\n";
  }
  std::cout.flush();
  return std::cout ? ops::kDone : ops::kFailed;
}

struct HealthcheckCommand {
  std::string listen = transport::GrpcServerOptions().address;
  transport::TlsFiles tls;
};

int CheckHealth(const HealthcheckCommand& command) {
  const absl::Status status =
      transport::CheckHealth(command.listen, command.tls, kHealthPatience);
  if (status.ok()) return ops::kDone;
  Fail(status);
  return ops::kFailed;  // Docker knows no other
}

}  // namespace

void AddHealthcheckCommand(ops::CommandLine& command_line) {
  ops::Command app = command_line.AddCommand(
      command_line.root(), "healthcheck",
      "Ask the server with these settings whether it serves; exit code 1 if "
      "not, or if it does not answer within 2 s");
  auto command = std::make_shared<HealthcheckCommand>();
  AddListenFlag(app, command->listen);
  AddTlsFlags(app, command->tls);
  command_line.OnCall(app, [command] { return CheckHealth(*command); });
}

void AddTokenCommand(ops::CommandLine& command_line) {
  ops::Command group = command_line.AddCommand(command_line.root(), "token",
                                               "Tokens of those who call");
  ops::Command app = command_line.AddCommand(
      group, "create", "Make a new token, and its hash for --callers");
  auto json = std::make_shared<bool>(false);
  ops::AddOutputFlag(app, *json);
  command_line.OnCall(app, [json] { return CreateToken(*json); });
}

void AddVersionCommand(ops::CommandLine& command_line) {
  ops::Command app = command_line.AddCommand(command_line.root(), "version",
                                             "Say which version this is");
  auto json = std::make_shared<bool>(false);
  ops::AddOutputFlag(app, *json);
  command_line.OnCall(app, [json] {
    if (*json) {
      std::cout << nlohmann::json(
                       {{"version", kVersion}, {"grpc", grpc::Version()}})
                << std::endl;
    } else {
      std::cout << "userprofile-server " << kVersion << " (gRPC "
                << grpc::Version() << ")" << std::endl;
    }
    return static_cast<int>(ops::kDone);
  });
}

}  // namespace userprofile::app
