#include "tests/support/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

extern char** environ;

namespace userprofile::testing {
namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A name without a slash is that of a program of this build.
std::string PathOf(const std::string& name) {
  return name.find('/') != std::string::npos
             ? name
             : absl::StrCat(USERPROFILE_BIN_DIR, "/", name);
}

}  // namespace

Program::Program(Options options) {
  options.words[0] = PathOf(options.words[0]);
  std::map<std::string, std::string> environment = options.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    environment.insert(variable);
  }
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) {
    variables.push_back(absl::StrCat(name, "=", value));
  }

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string input = options.input.empty() ? "/dev/null" : options.input;
  posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
  int fd = 1;
  for (const char* name : {"output", "errors"}) {
    posix_spawn_file_actions_addopen(&actions, fd++,
                                     (directory_ / name).c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  }
  // A test may have blocked signals; what it starts gets them.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int error =
      posix_spawn(&pid_, options.words[0].c_str(), &actions, &attributes,
                  Pointers(options.words).data(), Pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    std::fprintf(stderr, "can't start %s: %s\n", options.words[0].c_str(),
                 std::strerror(error));
    std::exit(1);
  }
}

Program::~Program() {
  Signal(SIGTERM);
  if (!Eventually([this] { return !running(); })) Kill();
}

void Program::Signal(int signal) {
  if (!reaped_) kill(pid_, signal);
}

void Program::Kill() {
  Signal(SIGKILL);
  Wait();
}

bool Program::running() {
  if (reaped_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  reaped_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int Program::Wait(absl::Duration patience) {
  if (Eventually([this] { return !running(); }, patience)) return exit_code_;
  ADD_FAILURE() << "the program does not end: " << errors();
  return -1;
}

int Program::MemoryMegabytes() const { return StatusMegabytes("VmRSS:"); }

int Program::PeakMegabytes() const { return StatusMegabytes("VmHWM:"); }

int Program::StatusMegabytes(const std::string& name) const {
  std::ifstream status(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string line; std::getline(status, line);) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int kilobytes;
    if (words[0] == name && absl::SimpleAtoi(words[1], &kilobytes)) {
      return kilobytes / 1024;
    }
  }
  ADD_FAILURE() << "the program is gone: " << errors();
  return 0;
}

std::string Program::output() const { return Read(directory_ / "output"); }

std::string Program::errors() const { return Read(directory_ / "errors"); }

Outcome RunProgram(Program::Options options, absl::Duration patience) {
  Program program(std::move(options));
  const int exit_code = program.Wait(patience);
  return {exit_code, program.output(), program.errors()};
}

}  // namespace userprofile::testing
