// userprofile-adapter: between Telegram's updates and the user-profile service.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "client/adapter/options.h"
#include "ops/command_line.h"

namespace {

// A standard stream that was closed would become the next thing that is opened,
// to be read or written in the stream's place. What is put there fails instead.
void FillClosedStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1) continue;
    (void)::open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
  }
}

// Before main() is too late: libraries open things when they are loaded.
[[gnu::section(".preinit_array"),
  gnu::used]] void (*fill_closed_streams)() = FillClosedStreams;

}  // namespace

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
  adapter::AddStdinCommand(command_line);
  adapter::AddPollCommand(command_line);
  adapter::AddWebhookCommand(command_line);
  // An output or a connection that nobody reads any more is an error like
  // others.
  std::signal(SIGPIPE, SIG_IGN);
  return command_line.Run(argc, argv);
}
