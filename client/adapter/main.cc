// userprofile-adapter: between Telegram's updates and the user-profile service.

#include <csignal>
#include <iostream>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "absl/time/time.h"
#include "client/adapter/stdin_command.h"
#include "client/adapter/stop_event.h"
#include "client/profile_client.h"

namespace {

using userprofile::adapter::RunStdin;
using userprofile::adapter::StdinOptions;
using userprofile::adapter::StopEvent;
using userprofile::adapter::StopOnSignals;
using userprofile::client::ClientOptions;
using userprofile::client::Done;
using userprofile::client::ProfileClient;
using userprofile::client::Recognition;

constexpr int kWrongUsage = 2;

constexpr char kStdinHelp[] =
    R"(Reads updates as the Bot API's getUpdates returns them in "result", one JSON
object a line, and prints one JSON object for each, in the same order.

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
any number of times. After a crash, give again what was not printed.

Exit code: 0 all lines were handled, 1 some were errors or the end was not
reached, 2 wrong usage. SIGTERM and SIGINT finish what was read; a second one
ends at once.)";

struct Flags {
  std::string server;
  std::string timeout = "10s";
  StdinOptions stdin_options;
};

std::string CheckServer(const std::string& server) {
  const auto colon = server.rfind(':');
  return colon == std::string::npos || colon + 1 == server.size()
             ? "is HOST:PORT, such as 127.0.0.1:50051"
             : "";
}

std::string CheckTimeout(const std::string& text) {
  absl::Duration timeout;
  return !absl::ParseDuration(text, &timeout) ||
                 timeout <= absl::ZeroDuration() || timeout > absl::Hours(24)
             ? "is a time such as 10s, 500ms or 1m"
             : "";
}

void AddStdinCommand(CLI::App& app, Flags& flags) {
  CLI::App* command =
      app.add_subcommand("stdin",
                         "Recognize the users behind updates read "
                         "from standard input");
  command->footer(kStdinHelp);
  command->add_option("--server", flags.server, "Where the service listens")
      ->envname("USERPROFILE_SERVER")
      ->type_name("HOST:PORT")
      ->check(CheckServer)
      ->required();
  command
      ->add_option("--timeout", flags.timeout,
                   "How long to try each update, a server's restart included")
      ->envname("USERPROFILE_TIMEOUT")
      ->type_name("TIME")
      ->check(CheckTimeout)
      ->capture_default_str();
  command
      ->add_option("--in-flight", flags.stdin_options.in_flight,
                   "How many updates to work on at once")
      ->envname("USERPROFILE_IN_FLIGHT")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

int Stdin(const Flags& flags) {
  // An output that nobody reads any more is an error like others.
  std::signal(SIGPIPE, SIG_IGN);
  static StopEvent stop;
  StopOnSignals(stop);
  ClientOptions client_options;
  absl::ParseDuration(flags.timeout, &client_options.timeout);
  ProfileClient client(flags.server, client_options);
  return RunStdin(
      flags.stdin_options,
      [&client](userprofile::v1::UpsertUserRequest contact,
                Done<Recognition> done) {
        client.Recognize(std::move(contact), std::move(done));
      },
      stop, std::cout, std::cerr);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Tells the user-profile service who contacts a Telegram bot, and the bot "
      "who that is.");
  app.name("userprofile-adapter");
  app.set_version_flag("--version", USERPROFILE_VERSION);
  app.require_subcommand(1);
  app.footer("More: userprofile-adapter stdin --help");
  Flags flags;
  AddStdinCommand(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  return Stdin(flags);
}
