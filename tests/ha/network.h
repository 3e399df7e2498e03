#ifndef USERPROFILE_TESTS_HA_NETWORK_H_
#define USERPROFILE_TESTS_HA_NETWORK_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/support/program.h"

namespace userprofile::testing {

// A switch with machines on it: each is a network namespace with an address of
// its own, and can be cut off as if somebody pulled its cable. This process is
// on the switch as well. Needs root, and a network namespace and a /run that
// are nobody else's (main.cc): nothing of it is taken away at the end. Failures
// end the program with a message. Not thread-safe, but for Words.
class Network {
 public:
  Network();

  // The address of machine `number`, 1 to 250, and of this process.
  static std::string Address(int number);
  static std::string OwnAddress();

  // All of them, as ADDRESS/BITS.
  static std::string Range();

  // Adds a machine.
  void Add(int number);

  // Takes it off the switch: whoever talks to it, or it to, hears nothing more.
  // Its own address still works for itself. Heal puts it back.
  void Cut(int number);
  void Heal(int number);

  // Lets all vanish that the machine sends to an address. What arrives from
  // there still does.
  void Mute(int number, const std::string& address);
  void Unmute(int number, const std::string& address);

  // The words that run a command on the machine, as root.
  static std::vector<std::string> Words(int number,
                                        std::vector<std::string> command);

  // Kills all that runs on it.
  static void KillAll(int number);
};

// Runs a command, found by PATH, that must go well; else ends the program.
Outcome MustRun(std::vector<std::string> words);

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_HA_NETWORK_H_
