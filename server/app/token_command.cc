#include <iostream>
#include <memory>
#include <string>

#include "nlohmann/json.hpp"
#include "server/access/token.h"
#include "server/app/command_flags.h"
#include "server/app/commands.h"

namespace userprofile::app {
namespace {

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

}  // namespace

void AddTokenCommand(ops::CommandLine& command_line) {
  CLI::App* group = command_line.AddCommand(command_line.root(), "token",
                                            "Tokens of those who call");
  group->require_subcommand(1);
  CLI::App* app = command_line.AddCommand(
      group, "create", "Make a new token, and its hash for --callers");
  auto json = std::make_shared<bool>(false);
  AddOutputFlag(app, *json);
  command_line.OnCall(app, [json] { return CreateToken(*json); });
}

}  // namespace userprofile::app
