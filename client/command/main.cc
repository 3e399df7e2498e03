// userprofile: the users of the user-profile service, for people at a terminal.

#include "client/command/commands.h"
#include "ops/command_line.h"

int main(int argc, char** argv) {
  namespace command = userprofile::command;
  userprofile::ops::CommandLine command_line(
      "Looks up, lists, corrects and watches the users of Telegram bots, by "
      "the user-profile service.",
      "userprofile", USERPROFILE_VERSION);
  command_line.root().Footer(
      "Where the service is, how it is called and --output can be set by the "
      "environment, too (--server by USERPROFILE_SERVER), and by a key in the "
      "file of --config.\n"
      "Exit code: 0 done, 1 failed, 2 wrong usage, 3 no such user.\n"
      "More: userprofile COMMAND --help");
  command::AddGetCommand(command_line);
  command::AddFindCommand(command_line);
  command::AddListCommand(command_line);
  command::AddCountCommand(command_line);
  command::AddEditCommand(command_line);
  command::AddDeleteCommand(command_line);
  command::AddWatchCommand(command_line);
  command_line.AddCompletionCommand();
  return command_line.Run(argc, argv);
}
