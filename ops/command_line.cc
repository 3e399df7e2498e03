#include "ops/command_line.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace userprofile::ops {
namespace {

// Gives each flat key of a file to every command that has such a flag.
class FlatConfig final : public CLI::ConfigTOML {
 public:
  explicit FlatConfig(const CLI::App* root) : root_(root) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> result;
    for (const CLI::ConfigItem& item : CLI::ConfigTOML::from_config(input)) {
      const bool known =
          item.parents.empty() && AddForCommands(*root_, {}, item, result);
      if (!known) result.push_back(item);  // CLI11 refuses it
    }
    return result;
  }

 private:
  // As CLI11 takes it: an empty variable is none.
  static bool IsInEnvironment(const CLI::Option& option) {
    const char* value = std::getenv(option.get_envname().c_str());
    return value != nullptr && *value != '\0';
  }

  // Whether `command`, or one below it, has the flag.
  static bool AddForCommands(const CLI::App& command,
                             const std::vector<std::string>& path,
                             const CLI::ConfigItem& item,
                             std::vector<CLI::ConfigItem>& result) {
    const CLI::Option* option = command.get_option_no_throw("--" + item.name);
    bool known = option != nullptr;
    // CLI11 looks at the environment only for what the file left open.
    if (known && !IsInEnvironment(*option)) {
      CLI::ConfigItem& copy = result.emplace_back(item);
      copy.parents = path;
    }
    for (const CLI::App* child :
         command.get_subcommands([](const CLI::App*) { return true; })) {
      std::vector<std::string> child_path = path;
      child_path.push_back(child->get_name());
      known = AddForCommands(*child, child_path, item, result) || known;
    }
    return known;
  }

  const CLI::App* const root_;
};

}  // namespace

CommandLine::CommandLine(std::string description, std::string name)
    : app_(std::move(description), std::move(name)) {
  app_.require_subcommand(1);
  app_.set_config("--config", "", "Read flags from this file (TOML or INI)")
      ->envname("USERPROFILE_CONFIG");
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
  command->callback([this, run = std::move(run)] { run_ = run; });
}

int CommandLine::Run(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? kDone : kWrongUsage;
  }
  return run_();
}

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("USERPROFILE_",
                      absl::AsciiStrToUpper(absl::StrReplaceAll(
                          absl::StripPrefix(flag, "--"), {{"-", "_"}})));
}

CLI::Option* AddDurationFlag(CLI::App* command, const std::string& flag,
                             absl::Duration& variable, const std::string& help,
                             absl::Duration least) {
  const auto parse = [&variable, least](const CLI::results_t& values) {
    return absl::ParseDuration(values.front(), &variable) &&
           variable >= least && variable < absl::InfiniteDuration();
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
