// userprofile-adapter: between Telegram's updates and the user-profile service.

#include <csignal>

#include "client/adapter/commands.h"

int main(int argc, char** argv) {
  namespace adapter = userprofile::adapter;
  CLI::App app(
      "Tells the user-profile service who contacts a Telegram bot, and the bot "
      "who that is.");
  app.name("userprofile-adapter");
  app.set_version_flag("--version", USERPROFILE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Every flag can be set by the environment, too: --server by "
      "USERPROFILE_SERVER.\nMore: userprofile-adapter COMMAND --help");
  adapter::Run run;
  adapter::AddStdinCommand(app, run);
  adapter::AddPollCommand(app, run);
  adapter::AddWebhookCommand(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? adapter::kDone : adapter::kWrongUsage;
  }
  // An output or a connection that nobody reads any more is an error like
  // others.
  std::signal(SIGPIPE, SIG_IGN);
  return run();
}
