#include "ops/command_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"
#include "ops/completion.h"
#include "ops/logging.h"

namespace userprofile::ops {
namespace {

constexpr char kVariablePrefix[] = "USERPROFILE_";
constexpr char kConfigVariable[] = "USERPROFILE_CONFIG";
constexpr char kIsEmpty[] = "is empty: give it a value, or leave it out";

bool IsInEnvironment(const CLI::Option& option) {
  const char* value = std::getenv(option.get_envname().c_str());
  return value != nullptr && *value != '\0';  // CLI11 takes empty for none
}

// Each option of all commands, and the names that lead to its command.
struct PlacedOption {
  const CLI::Option* option;
  std::vector<std::string> path;
};

void AddOptions(const CLI::App& command, std::vector<std::string> path,
                std::vector<PlacedOption>& options) {
  for (const CLI::Option* option : command.get_options()) {
    options.push_back({option, path});
  }
  for (const CLI::App* child :
       command.get_subcommands([](const CLI::App*) { return true; })) {
    std::vector<std::string> longer = path;
    longer.push_back(child->get_name());
    AddOptions(*child, std::move(longer), options);
  }
}

std::vector<PlacedOption> OptionsOf(const CLI::App& root) {
  std::vector<PlacedOption> options;
  AddOptions(root, {}, options);
  return options;
}

bool HasEmpty(const std::vector<std::string>& values) {
  return std::find(values.begin(), values.end(), "") != values.end();
}

// A value that somebody forgot to fill in, or got wrong, is not one that was
// left out: served without its list of callers, or on another database, would
// be the wrong guess.
void RefuseWrongValues(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->count() > 0) {
      if (!HasEmpty(option->results())) continue;
      throw CLI::ValidationError(option->get_name(), kIsEmpty);
    }
    const std::string& variable = option->get_envname();
    const char* value =
        variable.empty() ? nullptr : std::getenv(variable.c_str());
    if (value == nullptr) continue;
    if (*value == '\0') {
      throw CLI::ValidationError(variable,
                                 "is empty: give it a value, or unset it");
    }
    // CLI11 2.4 leaves out what a validator refuses. This throws.
    option->add_result(value);
    option->run_callback();
  }
}

// CLI11 takes "--insecure=" for a switch that is on, and a word behind
// "--callers=" for its value.
void RefuseEmptyWords(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    if (word == "--") return;
    if (absl::StartsWith(word, "--") && word.find('=') == word.size() - 1) {
      throw CLI::ValidationError(std::string(absl::StripSuffix(word, "=")),
                                 kIsEmpty);
    }
  }
}

// The file that --config or the environment names, if one does. The last flag
// counts.
std::string ConfigFile(int argc, const char* const* argv) {
  const char* variable = std::getenv(kConfigVariable);
  std::string file = variable == nullptr ? "" : variable;
  for (int i = 1; i < argc; ++i) {
    absl::string_view word = argv[i];
    if (word == "--config" && i + 1 < argc) {
      file = argv[i + 1];
    } else if (absl::ConsumePrefix(&word, "--config=")) {
      file = std::string(word);
    }
  }
  return file;
}

// CLI11 would read what is no file: without an end, if nobody writes to it.
void RefuseWrongConfigFile(const std::string& path) {
  if (path.empty()) return;
  const absl::Status status = base::ReadFile(path).status();
  if (!status.ok()) throw CLI::ConfigError(std::string(status.message()));
}

// As in a file that holds a value, which is what many variables are made from.
void StripVariables() {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view entry = *variable;
    const absl::string_view stripped =
        absl::StripTrailingAsciiWhitespace(entry);
    if (stripped.size() == entry.size() ||
        !absl::StartsWith(entry, kVariablePrefix)) {
      continue;
    }
    // In place: setenv could move what is iterated over.
    (*variable)[stripped.size()] = '\0';
  }
}

// The name of an option in a file: "log-format" for "--log-format".
std::string KeyOf(const CLI::Option& option) {
  return std::string(absl::StripPrefix(option.get_name(), "--"));
}

// Gives each flat key of a file to every command that has such a flag.
class FlatConfig final : public CLI::ConfigTOML {
 public:
  explicit FlatConfig(const CLI::App* root) : root_(root) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> result;
    for (const CLI::ConfigItem& item : CLI::ConfigTOML::from_config(input)) {
      // CLI11 takes an empty switch for one that is on.
      if (HasEmpty(item.inputs)) {
        throw CLI::ConfigError(
            absl::StrCat("the configuration file has a key \"", item.fullname(),
                         "\" without a value: give it one, or leave it out"));
      }
      bool known = false;
      for (const auto& [option, path] : OptionsOf(*root_)) {
        if (!item.parents.empty() || option->get_envname().empty() ||
            !option->check_lname(item.name)) {
          continue;
        }
        known = true;
        // CLI11 looks at the environment only for what the file left open.
        if (!IsInEnvironment(*option)) result.emplace_back(item).parents = path;
      }
      if (!known) throw UnknownKey(item);
    }
    return result;
  }

 private:
  CLI::ConfigError UnknownKey(const CLI::ConfigItem& item) const {
    std::set<std::string> keys;
    for (const auto& [option, path] : OptionsOf(*root_)) {
      if (!option->get_envname().empty()) keys.insert(KeyOf(*option));
    }
    keys.erase("config");
    return CLI::ConfigError(
        absl::StrCat("the configuration file has a key \"", item.fullname(),
                     "\" that is none of these: ", absl::StrJoin(keys, ", ")));
  }

  const CLI::App* const root_;
};

template <typename T>
CLI::Option* AddOption(Command command, const std::string& flag, T& variable,
                       const std::string& help) {
  return command.app()
      .add_option(flag, variable, help)
      ->envname(EnvironmentName(flag))
      ->capture_default_str();
}

}  // namespace

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat(kVariablePrefix,
                      absl::AsciiStrToUpper(absl::StrReplaceAll(
                          absl::StripPrefix(flag, "--"), {{"-", "_"}})));
}

Flag Flag::TypeName(const char* name) const {
  return Flag(option_->type_name(name));
}

Flag Flag::Required() const { return Flag(option_->required()); }

Flag Flag::Range(int least, int most) const {
  return Flag(option_->check(CLI::Range(least, most)));
}

Flag Flag::OneOf(std::initializer_list<const char*> values) const {
  return Flag(option_->check(
      CLI::IsMember(std::vector<std::string>(values.begin(), values.end()))));
}

Flag Flag::Check(std::function<std::string(const std::string&)> fault) const {
  return Flag(option_->check(std::move(fault)));
}

Flag Flag::Excludes(Flag other) const {
  return Flag(option_->excludes(other.option_));
}

Flag Flag::OnlyHere() const { return Flag(option_->envname("")); }

void Command::Footer(const std::string& text) const { app_->footer(text); }

void Command::Check() const {
  for (const auto& check : *checks_) check();
}

CommandLine::CommandLine(std::string description, std::string name,
                         const std::string& version)
    : app_(
          std::make_unique<CLI::App>(std::move(description), std::move(name))) {
  app_->set_config("--config", "", "Read flags from this file (TOML or INI)")
      ->type_name("FILE")
      ->envname(kConfigVariable);
  app_->config_formatter(std::make_shared<FlatConfig>(app_.get()));
  app_->allow_config_extras(CLI::config_extras_mode::error);
  app_->fallthrough();  // --config may stand behind the command
  if (!version.empty()) app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

Command CommandLine::AddCommand(Command parent, const std::string& name,
                                const std::string& description) {
  parent.app().require_subcommand(1);
  CLI::App* command = parent.app().add_subcommand(name, description);
  command->fallthrough();
  return Command(command);
}

void CommandLine::OnCall(Command command, std::function<int()> run,
                         std::function<void()> first) {
  command.app().callback(
      [this, command, run = std::move(run), first = std::move(first)] {
        RefuseWrongValues(*app_);
        RefuseWrongValues(command.app());
        if (first) first();
        command.Check();
        run_ = run;
      });
}

void CommandLine::AddCompletionCommand() {
  const Command command = AddCommand(
      root(), "completion",
      "Print a script that lets a shell complete commands and flags");
  const auto shell = std::make_shared<std::string>();
  AddArgument(command, "SHELL", *shell, "bash, zsh or fish")
      .OneOf({"bash", "zsh", "fish"});
  OnCall(command, [this, shell] {
    std::cout << CompletionScript(*app_, *shell);
    return std::cout.flush() ? kDone : kFailed;
  });
}

std::vector<CommandLine::Setting> CommandLine::SettingsOf(
    Command command) const {
  std::vector<Setting> settings;
  for (const CLI::Option* option : command.app().get_options()) {
    if (option->get_envname().empty()) continue;  // --help
    Setting& setting = settings.emplace_back();
    setting.key = KeyOf(*option);
    setting.value = option->count() > 0 ? absl::StrJoin(option->results(), " ")
                                        : option->get_default_str();
    if (option->get_expected_max() == 0 && setting.value.empty()) {
      setting.value = "false";  // a switch
    }
    setting.source = option->count() == 0                 ? "default"
                     : flags_given_.contains(setting.key) ? "flag"
                     : IsInEnvironment(*option)           ? "environment"
                                                          : "file";
  }
  return settings;
}

std::vector<std::string> CommandLine::UnknownVariables() const {
  std::set<std::string> known = {kConfigVariable};
  for (const auto& [option, path] : OptionsOf(*app_)) {
    known.insert(option->get_envname());
  }
  std::vector<std::string> unknown;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::vector<std::string> parts =
        absl::StrSplit(*variable, absl::MaxSplits('=', 1));
    // Kubernetes sets such variables for a Service of this name.
    if (absl::StartsWith(parts[0], kVariablePrefix) &&
        !absl::StartsWith(parts[0], "USERPROFILE_PORT") &&
        !absl::StartsWith(parts[0], "USERPROFILE_SERVICE_") &&
        !known.contains(parts[0])) {
      unknown.push_back(parts[0]);
    }
  }
  return unknown;
}

int CommandLine::Run(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    absl::string_view word = argv[i];
    if (!absl::ConsumePrefix(&word, "--")) continue;
    flags_given_.insert(std::string(word.substr(0, word.find('='))));
  }
  StripVariables();
  try {
    RefuseEmptyWords(argc, argv);
    RefuseWrongConfigFile(ConfigFile(argc, argv));
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_->exit(error) == 0 ? kDone : kWrongUsage;
  }
  return run_();
}

Flag AddFlag(Command command, const std::string& flag, std::string& variable,
             const std::string& help) {
  return Flag(AddOption(command, flag, variable, help));
}

template <typename Number>
Flag AddFlag(Command command, const std::string& flag, Number& variable,
             const std::string& help, std::int64_t least) {
  CLI::Option* option = AddOption(command, flag, variable, help);
  // By the value, for CLI11 reads 0x0, too.
  command.AddCheck([option, &variable, least] {
    if (option->count() == 0) return;
    if (static_cast<std::int64_t>(variable) >= least) return;
    throw CLI::ValidationError(
        option->get_name(),
        absl::StrCat("must be a whole number of at least ", least));
  });
  return Flag(option);
}
template Flag AddFlag(Command, const std::string&, int&, const std::string&,
                      std::int64_t);
template Flag AddFlag(Command, const std::string&, std::int64_t&,
                      const std::string&, std::int64_t);
template Flag AddFlag(Command, const std::string&, std::size_t&,
                      const std::string&, std::int64_t);

Flag AddDurationFlag(Command command, const std::string& flag,
                     absl::Duration& variable, const std::string& help,
                     absl::Duration least, absl::Duration most) {
  const auto parse = [&variable, flag](const CLI::results_t& values) {
    if (absl::ParseDuration(values.front(), &variable) &&
        variable < absl::InfiniteDuration()) {
      return true;
    }
    throw CLI::ValidationError(
        flag, absl::StrCat("\"", values.front(),
                           "\" is no time such as 500ms, 10s or 1m30s"));
  };
  CLI::Option* option =
      command.app()
          .add_option(flag, parse, help, true,
                      [&variable] { return absl::FormatDuration(variable); })
          ->type_name("DURATION")
          ->envname(EnvironmentName(flag))
          ->run_callback_for_default(false)
          ->default_str(absl::FormatDuration(variable));
  command.AddCheck([option, &variable, least, most] {
    if (option->count() == 0 || (variable >= least && variable <= most)) return;
    throw CLI::ValidationError(
        option->get_name(),
        absl::StrCat(absl::FormatDuration(variable), " is not at ",
                     variable < least ? "least " + absl::FormatDuration(least)
                                      : "most " + absl::FormatDuration(most)));
  });
  return Flag(option);
}

Flag AddSwitch(Command command, const std::string& flag, bool& variable,
               const std::string& help) {
  return Flag(command.app()
                  .add_flag(flag, variable, help)
                  ->envname(EnvironmentName(flag)));
}

Flag AddSwitch(Command command, const std::string& flag,
               absl::optional<bool>& variable, const std::string& help) {
  const auto on = std::make_shared<bool>(false);
  CLI::Option* option =
      command.app().add_flag(flag, *on, help)->envname(EnvironmentName(flag));
  command.AddCheck([option, on, &variable] {
    if (option->count() > 0) variable = *on;
  });
  return Flag(option);
}

Flag AddListFlag(Command command, const std::string& flag,
                 std::vector<std::string>& variable, const std::string& help) {
  return Flag(command.app()
                  .add_option(flag, variable, help)
                  ->envname(EnvironmentName(flag))
                  ->allow_extra_args(false));
}

Flag AddArgument(Command command, const std::string& name,
                 std::string& variable, const std::string& help) {
  return Flag(command.app().add_option(name, variable, help)->required());
}

Flag AddArguments(Command command, const std::string& name,
                  std::vector<std::string>& variable, const std::string& help) {
  return Flag(command.app().add_option(name, variable, help)->required());
}

void AddOutputFlag(Command command, bool& json) {
  command.app()
      .add_option("--output", json, "text (for people) or json")
      ->envname(EnvironmentName("--output"))
      ->transform(CLI::Transformer(std::map<std::string, std::string>{
          {"text", "false"}, {"json", "true"}}))
      ->type_name("text|json")
      ->default_str("text");
}

void AddLoggingFlags(Command command, LoggingOptions& options) {
  AddFlag(command, "--log-format", options.format,
          "text (for people) or json (one object a line)")
      .OneOf({"text", "json"});
  AddFlag(command, "--log-level", options.level, "What is logged at least")
      .OneOf({"debug", "info", "warning", "error"});
}

}  // namespace userprofile::ops
