#ifndef USERPROFILE_OPS_COMPLETION_H_
#define USERPROFILE_OPS_COMPLETION_H_

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace userprofile::ops {

// A script that lets a shell complete the commands of a program, their flags,
// and the values of those that take one of a few, or a file. `shell` is "bash",
// "zsh" or "fish". Commands of commands are not completed.
std::string CompletionScript(const CLI::App& program, const std::string& shell);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_COMPLETION_H_
