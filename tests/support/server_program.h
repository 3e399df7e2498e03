#ifndef USERPROFILE_TESTS_SUPPORT_SERVER_PROGRAM_H_
#define USERPROFILE_TESTS_SUPPORT_SERVER_PROGRAM_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::testing {

// `userprofile-server serve`, on a Unix socket that stays the same when it is
// started again, with a free admin port. Not thread-safe, but for address().
class ServerProgram {
 public:
  // `database` is what --database takes; further flags follow, and what its
  // environment has besides. Does not start the program.
  explicit ServerProgram(std::string database,
                         std::vector<std::string> flags = {},
                         std::map<std::string, std::string> environment = {});

  // Lets it listen there instead, from its next start on.
  void ListenOn(std::string address) { address_ = std::move(address); }

  // Starts it, and waits until it listens.
  void Start();

  // Starts it, and waits until it is ready.
  void StartReady();

  Program& program() { return *program_; }

  // For gRPC; not a connection of its own for each call.
  const std::string& address() const { return address_; }
  std::unique_ptr<v1::UserProfileService::Stub> NewStub() const;

  // HOST:PORT for people and probes.
  std::string admin_address() const;

  // GET of the admin port: the status code and the body; 0 if nobody answers.
  struct Page {
    int code = 0;
    std::string body;
  };
  Page Get(const std::string& path) const;

  // Waits until /readyz says so; a test failure if it does not.
  bool AwaitReady(absl::Duration patience = absl::Seconds(60));

  // Waits until /readyz says no, with `words` in its reason.
  bool AwaitNotReady(const std::string& words,
                     absl::Duration patience = absl::Seconds(30));

 private:
  const std::string database_;
  const std::vector<std::string> flags_;
  const std::map<std::string, std::string> environment_;
  TempDir directory_;
  std::string address_;
  int admin_port_ = 0;
  std::unique_ptr<Program> program_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_SERVER_PROGRAM_H_
