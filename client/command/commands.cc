#include "client/command/commands.h"

#include <unistd.h>

#include <iostream>

#include "client/command/errors.h"

namespace userprofile::command {

void AddCommonFlags(ops::Command command, CommonOptions& options) {
  programs::AddServiceFlags(command, options.service);
  AddOutputFlag(command, options.output);
}

int RunWith(
    const CommonOptions& options,
    const std::function<absl::Status(client::ProfileClient&, Output&)>& work) {
  const auto client = programs::MakeClient(options.service);
  if (!client.ok()) return Fail(client.status());
  Output output(options.output, ::isatty(STDOUT_FILENO) != 0, std::cout);
  const absl::Status worked = work(**client, output);
  const absl::Status written = output.Flush();
  if (!worked.ok()) return Fail(worked);
  return written.ok() ? static_cast<int>(ops::kDone) : Fail(written);
}

}  // namespace userprofile::command
