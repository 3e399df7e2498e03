#ifndef USERPROFILE_TESTS_STORIES_PACKAGES_H_
#define USERPROFILE_TESTS_STORIES_PACKAGES_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace userprofile::testing {

// The packages for Node and Python, made and installed as their READMEs say, in
// folders that tests share, and the example bots that use them.

inline constexpr char kNodePackages[] =
    USERPROFILE_SOURCE_DIR "/build/tools/node";
inline constexpr char kPythonPackages[] =
    USERPROFILE_BINARY_DIR "/tests/python";

// Runs the script that fills the folder; false if it says that something that
// it needs can't be had here.
inline bool FillBy(const std::string& script, const std::string& folder) {
  const Outcome outcome = RunProgram(
      {{absl::StrCat(USERPROFILE_SOURCE_DIR "/tests/stories/", script), folder},
       {},
       ""},
      absl::Minutes(10));  // npm, with all that it needs, is 500 packages
  EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 77)
      << outcome.output << outcome.errors;
  return outcome.exit_code == 0;
}

inline bool HasNodePackages() {
  static const bool has = FillBy("node_packages.sh", kNodePackages);
  return has;
}

inline bool HasPythonPackages() {
  static const bool has = FillBy("python_packages.sh", kPythonPackages);
  return has;
}

// How to start a bot, but for its token in BOT_TOKEN.
inline std::vector<std::string> NodeBot(const std::string& name,
                                        const std::string& server,
                                        const std::string& bot_api) {
  return {"/usr/bin/env", "node", absl::StrCat(kNodePackages, "/", name, ".js"),
          server, bot_api};
}

// This one needs kPythonPackages in PYTHONPATH.
inline std::vector<std::string> PythonBot(const std::string& name,
                                          const std::string& server,
                                          const std::string& bot_api) {
  return {"/usr/bin/python3",
          absl::StrCat(USERPROFILE_SOURCE_DIR "/client/examples/python/", name,
                       ".py"),
          "--server",
          server,
          "--bot-api-url",
          bot_api};
}

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_STORIES_PACKAGES_H_
