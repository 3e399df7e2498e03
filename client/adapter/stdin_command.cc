#include <unistd.h>

#include <iostream>
#include <memory>
#include <utility>

#include "client/adapter/commands.h"
#include "client/adapter/flags.h"
#include "client/adapter/stdin_run.h"
#include "client/adapter/stop_event.h"
#include "ops/command_line.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {
namespace {

constexpr char kStdinHelp[] =
    R"(Reads updates as the Bot API's getUpdates returns them in "result", one
JSON object a line, and prints one JSON object for each, in the same order.

Example:
  curl -s "https://api.telegram.org/bot$TOKEN/getUpdates" | jq -c '.result[]' |
    userprofile-adapter stdin --server 127.0.0.1:50051

  in:  {"update_id":7,"message":{"message_id":1,"date":1760860800,
        "from":{"id":12345,"is_bot":false,"first_name":"Test"},
        "chat":{"id":12345,"type":"private"},"text":"/start"}}   (one line)
  out: {"update_id":7,"user_id":12345,"recognized":"new"}

"recognized" is one of
  new        this update is the user's first contact
  returning  the user is known, but onboarding is not complete
  onboarded  the user is known, and onboarding is complete
  ignored    the update is nobody's contact: a poll, a bot, a channel ...
  error      nothing is known; see "code", "reason", "message" and "line"

A line that is no update is an error and stops nothing. An update may be given
any number of times. After a crash, give again what was not printed, or use
--checkpoint FILE and just run it again on the same input; it then stops at an
update that the service can't take in now.

Exit code: 0 all lines were handled, 1 some were errors or the end was not
reached, 2 wrong usage. SIGTERM and SIGINT finish what was read; a second one
ends at once.)";

struct StdinCommand {
  ServiceFlags service;
  StdinOptions options;
};

int Stdin(const StdinCommand& command) {
  static StopEvent stop;
  StopOnSignals(stop);
  const auto client = Connect(command.service);
  if (!client.ok()) return Fail(client.status());
  std::ios::sync_with_stdio(false);
  StdinOptions options = command.options;
  options.output_fd = STDOUT_FILENO;
  options.progress = ::isatty(STDERR_FILENO) != 0;
  return RunStdin(
      options,
      [&service = **client](v1::UpsertUserRequest contact,
                            client::Done<client::Recognition> done) {
        service.Recognize(std::move(contact), std::move(done));
      },
      stop, std::cout, std::cerr);
}

}  // namespace

void AddStdinCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "stdin",
      "Recognize the users behind updates read from standard input");
  flags.Footer(kStdinHelp);
  auto command = std::make_shared<StdinCommand>();
  AddServiceFlags(flags, command->service);
  ops::AddFlag(flags, "--in-flight", command->options.in_flight,
               "How many updates to work on at once")
      .TypeName("NUMBER")
      .Range(1, 65536);
  ops::AddFlag(
      flags, "--checkpoint", command->options.checkpoint,
      "Keeps in this file how far the input was handled, and goes on there")
      .TypeName("FILE");
  command_line.OnCall(flags, [command] { return Stdin(*command); });
}

}  // namespace userprofile::adapter
