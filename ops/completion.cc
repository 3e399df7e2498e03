#include "ops/completion.h"

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/substitute.h"

namespace userprofile::ops {
namespace {

struct FlagWords {
  std::string name;  // without "--"
  std::string help;
  std::string value;               // what help calls it; empty of a switch
  std::vector<std::string> among;  // the values that there are, if few
  bool is_file = false;
};

struct CommandWords {
  std::string name;
  std::string help;
  std::vector<FlagWords> flags;
};

// What help says of an option's value is "TEXT:{text,json}", or "FILE".
FlagWords WordsOf(const CLI::Option& option) {
  FlagWords flag;
  flag.name = option.get_lnames().front();
  flag.help = option.get_description();
  if (option.get_expected_max() == 0) return flag;
  const std::string type = option.get_type_name();
  flag.is_file = type == "FILE";
  const std::size_t begin = type.find('{');
  if (begin != std::string::npos) {
    flag.among =
        absl::StrSplit(type.substr(begin + 1, type.find('}') - begin - 1), ',');
  }
  flag.value = type.substr(0, type.find(":{"));
  return flag;
}

std::vector<FlagWords> FlagsOf(const CLI::App& command) {
  std::vector<FlagWords> flags;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_lnames().empty()) flags.push_back(WordsOf(*option));
  }
  return flags;
}

// The flags of the program stand behind each command, too.
std::vector<CommandWords> CommandsOf(const CLI::App& program) {
  std::vector<CommandWords> commands;
  for (const CLI::App* command :
       program.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(
        {command->get_name(), command->get_description(), FlagsOf(*command)});
    for (FlagWords& flag : FlagsOf(program)) {
      if (flag.name == "help" || flag.name == "version") continue;
      commands.back().flags.push_back(std::move(flag));
    }
  }
  return commands;
}

std::string Quote(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

const auto kName = [](std::string* out, const auto& item) {
  out->append(item.name);
};
const auto kFlagName = [](std::string* out, const FlagWords& flag) {
  absl::StrAppend(out, "--", flag.name);
};

std::string BashScript(const std::string& program,
                       const std::vector<CommandWords>& commands) {
  std::set<std::string> values;  // what is done behind each flag with a value
  std::string flags;
  for (const CommandWords& command : commands) {
    absl::StrAppend(&flags, "    ", command.name, ") words=",
                    Quote(absl::StrJoin(command.flags, " ", kFlagName)),
                    " ;;\n");
    for (const FlagWords& flag : command.flags) {
      if (flag.value.empty()) continue;
      const std::string reply =
          flag.is_file ? "compopt -o filenames\n"
                         "      mapfile -t COMPREPLY < "
                         "<(compgen -f -- \"$word\")\n"
          : flag.among.empty()
              ? ":\n"
              : absl::StrCat("COMPREPLY=($(compgen -W ",
                             Quote(absl::StrJoin(flag.among, " ")),
                             " -- \"$word\"))\n");
      values.insert(
          absl::StrCat("    --", flag.name, ") ", reply, "      return ;;\n"));
    }
  }
  return absl::Substitute(
      R"(_$0() {
  local word=$${COMP_WORDS[COMP_CWORD]} command= words=
  if ((COMP_CWORD > 1)); then command=$${COMP_WORDS[1]}; fi
  COMPREPLY=()
  case $${COMP_WORDS[COMP_CWORD - 1]} in
$1  esac
  case $$command in
$2    *) words=$3 ;;
  esac
  COMPREPLY=($$(compgen -W "$$words" -- "$$word"))
}
complete -F _$0 $0
)",
      program, absl::StrJoin(values, ""), flags,
      Quote(absl::StrJoin(commands, " ", kName)));
}

std::string ZshScript(const std::string& program,
                      const std::vector<CommandWords>& commands) {
  const auto escape = [](absl::string_view text) {
    return absl::StrReplaceAll(
        text, {{"\\", "\\\\"}, {":", "\\:"}, {"[", "\\["}, {"]", "\\]"}});
  };
  std::string names;
  std::string cases;
  for (const CommandWords& command : commands) {
    absl::StrAppend(
        &names, "      ",
        Quote(absl::StrCat(command.name, ":", escape(command.help))), "\n");
    absl::StrAppend(&cases, "    ", command.name, ")\n      _arguments '*: :'");
    for (const FlagWords& flag : command.flags) {
      std::string spec =
          absl::StrCat("--", flag.name, flag.value.empty() ? "" : "=", "[",
                       escape(flag.help), "]");
      if (!flag.value.empty()) {
        absl::StrAppend(
            &spec, ":", escape(flag.value), ":",
            flag.is_file ? "_files"
            : flag.among.empty()
                ? " "
                : absl::StrCat("(", absl::StrJoin(flag.among, " "), ")"));
      }
      absl::StrAppend(&cases, " \\\n        ", Quote(spec));
    }
    absl::StrAppend(&cases, " ;;\n");
  }
  return absl::Substitute(
      R"(#compdef $0
_$0() {
  if ((CURRENT == 2)); then
    local -a commands=(
$1    )
    _describe command commands
    return
  fi
  case $$words[2] in
$2  esac
}
if [[ $${funcstack[1]} == _$0 ]]; then
  _$0 "$$@"
else
  compdef _$0 $0
fi
)",
      program, names, cases);
}

std::string FishScript(const std::string& program,
                       const std::vector<CommandWords>& commands) {
  const std::string complete = absl::StrCat("complete -c ", program, " ");
  std::string script = absl::StrCat(complete, "-f\n");
  for (const CommandWords& command : commands) {
    absl::StrAppend(&script, complete, "-n __fish_use_subcommand -a ",
                    command.name, " -d ", Quote(command.help), "\n");
    for (const FlagWords& flag : command.flags) {
      absl::StrAppend(&script, complete, "-n '__fish_seen_subcommand_from ",
                      command.name, "' -l ", flag.name);
      if (flag.is_file) {
        absl::StrAppend(&script, " -r -F");
      } else if (!flag.among.empty()) {
        absl::StrAppend(&script, " -x -a ",
                        Quote(absl::StrJoin(flag.among, " ")));
      } else if (!flag.value.empty()) {
        absl::StrAppend(&script, " -x");
      }
      absl::StrAppend(&script, " -d ", Quote(flag.help), "\n");
    }
  }
  return script;
}

}  // namespace

std::string CompletionScript(const CLI::App& program,
                             const std::string& shell) {
  const std::vector<CommandWords> commands = CommandsOf(program);
  if (shell == "zsh") return ZshScript(program.get_name(), commands);
  if (shell == "fish") return FishScript(program.get_name(), commands);
  return BashScript(program.get_name(), commands);
}

}  // namespace userprofile::ops
