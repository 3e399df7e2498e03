// userprofile-adapter: between Telegram's updates and the user-profile service.

#include <csignal>

#include "client/adapter/options.h"
#include "ops/command_line.h"

int main(int argc, char** argv) {
  namespace adapter = userprofile::adapter;
  userprofile::ops::CommandLine command_line(
      "Tells the user-profile service who contacts a Telegram bot, and the bot "
      "who that is.",
      "userprofile-adapter", USERPROFILE_VERSION);
  command_line.root().Footer(
      "Every flag can be set by the environment, too (--server by "
      "USERPROFILE_SERVER), and by a key in the file of --config.\n"
      "More: userprofile-adapter COMMAND --help");
  adapter::AddProxyCommand(command_line);
  adapter::AddPollCommand(command_line);
  adapter::AddReplayCommand(command_line);
  adapter::AddWebhookCommand(command_line);
  adapter::AddStdinCommand(command_line);
  // An output or a connection that nobody reads any more is an error like
  // others.
  std::signal(SIGPIPE, SIG_IGN);
  return command_line.Run(argc, argv);
}
