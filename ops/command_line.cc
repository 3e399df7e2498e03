#include "ops/command_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"

namespace userprofile::ops {
namespace {

constexpr char kVariablePrefix[] = "USERPROFILE_";
constexpr char kConfigVariable[] = "USERPROFILE_CONFIG";
constexpr char kIsEmpty[] = "is empty: give it a value, or leave it out";

bool IsInEnvironment(const CLI::Option& option) {
  const char* value = std::getenv(option.get_envname().c_str());
  return value != nullptr && *value != '\0';  // CLI11 takes empty for none
}

// Calls `visit` with each command, and the names that lead to it.
void VisitCommands(const CLI::App& command, std::vector<std::string>& path,
                   absl::FunctionRef<void(const CLI::App&)> visit) {
  visit(command);
  for (const CLI::App* child :
       command.get_subcommands([](const CLI::App*) { return true; })) {
    path.push_back(child->get_name());
    VisitCommands(*child, path, visit);
    path.pop_back();
  }
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
      std::vector<std::string> path;
      VisitCommands(*root_, path, [&](const CLI::App& command) {
        const CLI::Option* option =
            item.parents.empty() ? command.get_option_no_throw("--" + item.name)
                                 : nullptr;
        if (option == nullptr) return;
        known = true;
        // CLI11 looks at the environment only for what the file left open.
        if (IsInEnvironment(*option)) return;
        result.emplace_back(item).parents = path;
      });
      if (!known) throw UnknownKey(item);
    }
    return result;
  }

 private:
  CLI::ConfigError UnknownKey(const CLI::ConfigItem& item) const {
    std::set<std::string> keys;
    std::vector<std::string> path;
    VisitCommands(*root_, path, [&](const CLI::App& command) {
      for (const CLI::Option* option : command.get_options()) {
        if (!option->get_envname().empty()) keys.insert(KeyOf(*option));
      }
    });
    keys.erase("config");
    return CLI::ConfigError(
        absl::StrCat("the configuration file has a key \"", item.fullname(),
                     "\" that is none of these: ", absl::StrJoin(keys, ", ")));
  }

  const CLI::App* const root_;
};

}  // namespace

CommandLine::CommandLine(std::string description, std::string name)
    : app_(std::move(description), std::move(name)) {
  app_.require_subcommand(1);
  app_.set_config("--config", "", "Read flags from this file (TOML or INI)")
      ->envname(kConfigVariable);
  app_.config_formatter(std::make_shared<FlatConfig>(&app_));
  app_.allow_config_extras(CLI::config_extras_mode::error);
  app_.fallthrough();  // --config may stand behind the command
}

CLI::App* CommandLine::AddCommand(CLI::App* parent, const std::string& name,
                                  const std::string& description) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->fallthrough();
  return command;
}

void CommandLine::OnCall(CLI::App* command, std::function<int()> run) {
  command->callback([this, command, run = std::move(run)] {
    RefuseWrongValues(app_);
    RefuseWrongValues(*command);
    run_ = run;
  });
}

std::vector<CommandLine::Setting> CommandLine::SettingsOf(
    const CLI::App& command) const {
  std::vector<Setting> settings;
  for (const CLI::Option* option : command.get_options()) {
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
  std::vector<std::string> path;
  VisitCommands(app_, path, [&](const CLI::App& command) {
    for (const CLI::Option* option : command.get_options()) {
      known.insert(option->get_envname());
    }
  });
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
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? kDone : kWrongUsage;
  }
  return run_();
}

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat(kVariablePrefix,
                      absl::AsciiStrToUpper(absl::StrReplaceAll(
                          absl::StripPrefix(flag, "--"), {{"-", "_"}})));
}

CLI::Option* AddDurationFlag(CLI::App* command, const std::string& flag,
                             absl::Duration& variable, const std::string& help,
                             absl::Duration least) {
  const auto parse = [&variable, flag, least](const CLI::results_t& values) {
    if (absl::ParseDuration(values.front(), &variable) && variable >= least &&
        variable < absl::InfiniteDuration()) {
      return true;
    }
    throw CLI::ValidationError(
        flag, absl::StrCat("\"", values.front(),
                           "\" is no time such as 500ms, 10s or 1m30s, of at "
                           "least ",
                           absl::FormatDuration(least)));
  };
  return command
      ->add_option(flag, parse, help, true,
                   [&variable] { return absl::FormatDuration(variable); })
      ->type_name("DURATION")
      ->envname(EnvironmentName(flag))
      ->run_callback_for_default(false)
      ->default_str(absl::FormatDuration(variable));
}

CLI::Option* AddSwitch(CLI::App* command, const std::string& flag,
                       bool& variable, const std::string& help) {
  return command->add_flag(flag, variable, help)
      ->envname(EnvironmentName(flag));
}

}  // namespace userprofile::ops
