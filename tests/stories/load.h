#ifndef USERPROFILE_TESTS_STORIES_LOAD_H_
#define USERPROFILE_TESTS_STORIES_LOAD_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/error_details.h"
#include "tests/support/server_program.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::testing {

using Stub = v1::UserProfileService::Stub;

// One UpsertUser, and one GetProfile, without any retry. Calls wait for the
// server to be there until the deadline.
grpc::Status Upsert(Stub& stub, std::int64_t user_id,
                    v1::UpsertUserResponse* response,
                    std::chrono::seconds deadline = std::chrono::seconds(10));
grpc::Status Get(Stub& stub, std::int64_t user_id,
                 v1::GetProfileResponse* response,
                 std::chrono::seconds deadline = std::chrono::seconds(10));

// Lets users 1 to `users` be known; a test failure if one can't be stored.
void StoreUsers(Stub& stub, std::int64_t users);

// Bots at work, from construction until Stop: each calls UpsertUser and
// GetProfile in turn for users that are known already, and writes down what
// came of it.
class Load {
 public:
  struct Tally {
    int ok = 0;
    int created = 0;    // known users that were reported as created
    int not_found = 0;  // known users that were not found
    std::map<std::string, int> failures;  // by "CODE REASON"
  };

  // Users 1 to `users` must be known.
  Load(std::vector<std::unique_ptr<Stub>> stubs, std::int64_t users);
  ~Load();  // calls Stop()

  // Answers with status OK so far.
  int ok() const { return ok_; }

  Tally Stop();

 private:
  void Run(Stub& stub, std::int64_t first_user);
  void Count(const grpc::Status& status, bool created);

  const std::vector<std::unique_ptr<Stub>> stubs_;
  const std::int64_t users_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> ok_ = 0;
  std::mutex mutex_;
  Tally tally_;  // protected by mutex_
  std::vector<std::thread> bots_;
};

// So many bots of the server at work, once they had their first answers.
std::unique_ptr<Load> StartLoad(const ServerProgram& server, int bots,
                                std::int64_t users);

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_STORIES_LOAD_H_
