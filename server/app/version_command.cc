#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>

#include "nlohmann/json.hpp"
#include "server/app/command_flags.h"
#include "server/app/commands.h"
#include "server/app/version.h"

namespace userprofile::app {

void AddVersionCommand(ops::CommandLine& command_line) {
  CLI::App* app = command_line.AddCommand(command_line.root(), "version",
                                          "Say which version this is");
  auto json = std::make_shared<bool>(false);
  AddOutputFlag(app, *json);
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
