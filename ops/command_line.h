#ifndef USERPROFILE_OPS_COMMAND_LINE_H_
#define USERPROFILE_OPS_COMMAND_LINE_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/time.h"

namespace userprofile::ops {

// The exit codes of both programs.
enum ExitCode : int { kDone = 0, kFailed = 1, kWrongUsage = 2 };

// The conventions of both programs' command lines, on top of CLI11: every flag
// is also an environment variable and a key of the configuration file.
//
// A file is TOML or INI with flat keys: `listen = "127.0.0.1:50051"`. It may be
// shared by all commands; a key that no command knows is an error. The command
// line wins over the environment, which wins over the file. Blanks and line
// ends at the end of a variable are not part of its value. An empty value is an
// error, unless it is a variable's and the command line or the file has one.
class CommandLine {
 public:
  CommandLine(std::string description, std::string name);

  // Adds a command, or a command of a command.
  CLI::App* AddCommand(CLI::App* parent, const std::string& name,
                       const std::string& description);
  CLI::App* root() { return &app_; }

  // What `command` does when it is called; returns the exit code.
  void OnCall(CLI::App* command, std::function<int()> run);

  // What a command's flags came to, in the order in which they were added; to
  // be asked while it runs.
  struct Setting {
    std::string key;  // "log-format"
    std::string value;
    std::string source;  // "flag", "environment", "file" or "default"
  };
  std::vector<Setting> SettingsOf(const CLI::App& command) const;

  // Variables of the environment that look like flags (USERPROFILE_...) and are
  // none of any command. They may be another program's.
  std::vector<std::string> UnknownVariables() const;

  // Parses, runs the command that was called, and returns the exit code:
  // kWrongUsage, with a message on stderr, for what can't be understood.
  int Run(int argc, const char* const* argv);

 private:
  CLI::App app_;
  std::function<int()> run_;
  std::set<std::string> flags_given_;
};

// The environment variable of a flag: "--log-format" is USERPROFILE_LOG_FORMAT.
std::string EnvironmentName(const std::string& flag);

// Adds `--name VALUE` to `command`; the variable's value is the default.
template <typename T>
CLI::Option* AddFlag(CLI::App* command, const std::string& flag, T& variable,
                     const std::string& help) {
  return command->add_option(flag, variable, help)
      ->envname(EnvironmentName(flag))
      ->capture_default_str();
}

// Adds `--name DURATION`, such as 500ms, 10s or 1m30s; not below `least`.
CLI::Option* AddDurationFlag(CLI::App* command, const std::string& flag,
                             absl::Duration& variable, const std::string& help,
                             absl::Duration least = absl::Milliseconds(1));

// Adds a switch, `--name`.
CLI::Option* AddSwitch(CLI::App* command, const std::string& flag,
                       bool& variable, const std::string& help);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_COMMAND_LINE_H_
