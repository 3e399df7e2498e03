#include "tests/ha/network.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace userprofile::testing {
namespace {

constexpr char kNet[] = "10.99.0.";
constexpr int kOwnNumber = 254;

std::string NameOf(int number) { return absl::StrCat("machine", number); }
std::string PortOf(int number) { return absl::StrCat("port", number); }

void Ip(absl::string_view arguments) {
  std::vector<std::string> words =
      absl::StrSplit(arguments, ' ', absl::SkipEmpty());
  words.insert(words.begin(), "ip");
  MustRun(std::move(words));
}

}  // namespace

Outcome MustRun(std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/env");
  Outcome outcome = RunProgram({words});
  if (outcome.exit_code != 0) {
    std::fprintf(stderr, "%s: %s\n", absl::StrJoin(words, " ").c_str(),
                 outcome.errors.c_str());
    std::exit(1);
  }
  return outcome;
}

Network::Network() {
  Ip("link add switch type bridge");
  Ip(absl::StrCat("addr add ", OwnAddress(), "/24 dev switch"));
  Ip("link set switch up");
}

std::string Network::Address(int number) { return absl::StrCat(kNet, number); }
std::string Network::OwnAddress() { return Address(kOwnNumber); }
std::string Network::Range() { return absl::StrCat(Address(0), "/24"); }

void Network::Add(int number) {
  const std::string name = NameOf(number);
  const std::string port = PortOf(number);
  Ip(absl::StrCat("netns add ", name));
  Ip(absl::StrCat("-n ", name, " link set lo up"));
  Ip(absl::StrCat("link add ", port, " type veth peer name eth0 netns ", name));
  Ip(absl::StrCat("-n ", name, " addr add ", Address(number), "/24 dev eth0"));
  Ip(absl::StrCat("-n ", name, " link set eth0 up"));
  Ip(absl::StrCat("link set ", port, " up"));
  // One that is cut off is silent, as over a router, not "no route to host".
  const std::string mac(absl::StripAsciiWhitespace(
      MustRun(Words(number, {"cat", "/sys/class/net/eth0/address"})).output));
  Ip(absl::StrCat("neigh replace ", Address(number), " lladdr ", mac,
                  " dev switch nud permanent"));
  Heal(number);
}

void Network::Cut(int number) {
  Ip(absl::StrCat("link set ", PortOf(number), " nomaster"));
}

void Network::Heal(int number) {
  Ip(absl::StrCat("link set ", PortOf(number), " master switch"));
}

void Network::Mute(int number, const std::string& address) {
  Ip(absl::StrCat("-n ", NameOf(number), " route add blackhole ", address));
}

void Network::Unmute(int number, const std::string& address) {
  Ip(absl::StrCat("-n ", NameOf(number), " route del blackhole ", address));
}

std::vector<std::string> Network::Words(int number,
                                        std::vector<std::string> command) {
  command.insert(command.begin(), {"ip", "netns", "exec", NameOf(number)});
  return command;
}

void Network::KillAll(int number) {
  // Until there is none: they may start others meanwhile.
  const bool gone = Eventually([number] {
    const std::string pids =
        MustRun({"ip", "netns", "pids", NameOf(number)}).output;
    for (const absl::string_view word :
         absl::StrSplit(pids, '\n', absl::SkipEmpty())) {
      int pid = 0;
      if (absl::SimpleAtoi(word, &pid)) kill(pid, SIGKILL);
    }
    return pids.empty();
  });
  if (!gone) {
    std::fprintf(stderr, "%s does not end\n", NameOf(number).c_str());
    std::exit(1);
  }
}

}  // namespace userprofile::testing
