#ifndef USERPROFILE_OPS_COMMAND_LINE_H_
#define USERPROFILE_OPS_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace userprofile::ops {

struct LoggingOptions;

// The exit codes of all programs.
enum ExitCode : int { kDone = 0, kFailed = 1, kWrongUsage = 2 };

// A flag that was added to a command; each method says more about it.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  // What help calls the value: "FILE".
  Flag TypeName(const char* name) const;

  Flag Required() const;
  Flag Range(int least, int most) const;
  Flag OneOf(std::initializer_list<const char*> values) const;

  // `fault` says in words what is wrong with a value; nothing if it is right.
  Flag Check(std::function<std::string(const std::string&)> fault) const;

  // Not both of them.
  Flag Excludes(Flag other) const;

  // Only the command line gives it: it says what one call is about.
  Flag OnlyHere() const;

 private:
  CLI::Option* option_;
};

// A command of a CommandLine, which must outlive it.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // What help ends with.
  void Footer(const std::string& text) const;

  // What is checked when the command is called, and only then: the environment
  // and the file may be shared with others. Throws a CLI::ValidationError.
  void AddCheck(std::function<void()> check) const {
    checks_->push_back(std::move(check));
  }
  void Check() const;

  CLI::App& app() const { return *app_; }

 private:
  CLI::App* app_;
  std::shared_ptr<std::vector<std::function<void()>>> checks_ =
      std::make_shared<std::vector<std::function<void()>>>();
};

// The conventions of all programs' command lines, on top of CLI11: every flag,
// unless it is OnlyHere, is also an environment variable and a key of the
// configuration file.
//
// A file is TOML or INI with flat keys: `listen = "127.0.0.1:50051"`. It may be
// shared by all commands; a key that no command knows is an error. The command
// line wins over the environment, which wins over the file. Blanks and line
// ends at the end of a variable are not part of its value. An empty value is an
// error, unless it is a variable's and the command line or the file has one.
class CommandLine {
 public:
  // With a `version` there is --version, which prints it.
  CommandLine(std::string description, std::string name,
              const std::string& version = "");
  ~CommandLine();

  // Adds a command, or a command of a command, which then can't be called
  // without one.
  Command AddCommand(Command parent, const std::string& name,
                     const std::string& description);
  Command root() { return Command(app_.get()); }

  // What `command` does when it is called; returns the exit code. `first` is
  // done even where a number or a time is out of its range.
  void OnCall(Command command, std::function<int()> run,
              std::function<void()> first = nullptr);

  // Adds the command "completion SHELL", which prints a CompletionScript.
  void AddCompletionCommand();

  // What a command's flags came to, in the order in which they were added; to
  // be asked while it runs.
  struct Setting {
    std::string key;  // "log-format"
    std::string value;
    std::string source;  // "flag", "environment", "file" or "default"
  };
  std::vector<Setting> SettingsOf(Command command) const;

  // Variables of the environment that look like flags (USERPROFILE_...) and are
  // none of any command. They may be another program's.
  std::vector<std::string> UnknownVariables() const;

  // Parses, runs the command that was called, and returns the exit code:
  // kWrongUsage, with a message on stderr, for what can't be understood.
  int Run(int argc, const char* const* argv);

 private:
  const std::unique_ptr<CLI::App> app_;
  std::function<int()> run_;
  std::set<std::string> flags_given_;
};

// The variable of the environment that sets a flag: USERPROFILE_LISTEN for
// --listen.
std::string EnvironmentName(const std::string& flag);

// Adds `--name VALUE` to `command`; the variable's value is the default.
Flag AddFlag(Command command, const std::string& flag, std::string& variable,
             const std::string& help);

// The same for a number: int, std::int64_t or std::size_t.
template <typename Number>
Flag AddFlag(Command command, const std::string& flag, Number& variable,
             const std::string& help, std::int64_t least = 1);

// Adds `--name DURATION`, such as 500ms, 10s or 1m30s; from `least` to `most`.
Flag AddDurationFlag(Command command, const std::string& flag,
                     absl::Duration& variable, const std::string& help,
                     absl::Duration least = absl::Milliseconds(1),
                     absl::Duration most = absl::InfiniteDuration());

// Adds a switch, `--name`.
Flag AddSwitch(Command command, const std::string& flag, bool& variable,
               const std::string& help);

// Adds a switch that can be off as well, "--name=false", and left open.
Flag AddSwitch(Command command, const std::string& flag,
               absl::optional<bool>& variable, const std::string& help);

// Adds `--name VALUE`, which may be given many times.
Flag AddListFlag(Command command, const std::string& flag,
                 std::vector<std::string>& variable, const std::string& help);

// Adds a value without a name, which must be given.
Flag AddArgument(Command command, const std::string& name,
                 std::string& variable, const std::string& help);

// The same for one value or more.
Flag AddArguments(Command command, const std::string& name,
                  std::vector<std::string>& variable, const std::string& help);

// Adds --output text|json; true for json.
void AddOutputFlag(Command command, bool& json);

// Adds --log-format and --log-level.
void AddLoggingFlags(Command command, LoggingOptions& options);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_COMMAND_LINE_H_
