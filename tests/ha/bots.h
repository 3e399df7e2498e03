#ifndef USERPROFILE_TESTS_HA_BOTS_H_
#define USERPROFILE_TESTS_HA_BOTS_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "tests/support/server_program.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::testing {

// Bots at work on several servers, and what they were told: a model that each
// answer is held against. A bot writes a number into the last name of one of
// its users, a greater one each time, and then reads it from the next server;
// of five users one is a new one, who then is asked for and onboarded. No call
// is repeated, for a model of what is acknowledged needs to see each answer.
// Thread-safe.
class Bots {
 public:
  struct Options {
    std::vector<const ServerProgram*> servers;
    int bots;
    std::chrono::seconds deadline;
  };

  // Stands for the reason of a failure that has none: nobody answered.
  static constexpr char kWithoutReason[] = "without a reason";

  // What came of it. All three kinds of lies must be empty.
  struct Tally {
    int ok = 0;
    std::map<std::string, int> failures;  // by "METHOD CODE REASON"
    absl::Duration slowest;               // of the calls that were answered OK

    std::vector<std::string> falsely_new;  // a known user was said to be new
    std::vector<std::string> stale;    // a read without an acknowledged write
    std::vector<std::string> strange;  // any other untruth
  };

  // A time in which no write was acknowledged.
  struct Pause {
    base::SteadyTime begin;
    base::SteadyTime end;
    absl::Duration length() const { return end - begin; }
  };

  // Starts them. No two Bots at a time, or one after the other, may have a
  // user in common: theirs are those from `first_user` on.
  Bots(std::vector<Options> options, std::int64_t first_user);
  ~Bots();

  // Waits until each server has answered some more calls with OK; a test
  // failure if that takes a minute.
  void AwaitAnswers();

  // Lets them finish their calls, and waits for that.
  void Stop();

  // Of the bots with that deadline; after Stop.
  Tally TallyOf(std::chrono::seconds deadline) const;

  // The longest one, of all of them; after Stop.
  Pause LongestPause() const;

  // What acknowledged writes there were that `rows` do not have: lines of
  // "user_id|last_name|onboarding_completed", for all users. After Stop.
  std::vector<std::string> LostIn(const std::string& rows) const;

 private:
  using Stub = v1::UserProfileService::Stub;

  struct User {
    std::int64_t id = 0;
    bool known = false;      // somebody was told so
    int acknowledged = 0;    // the last number of an acknowledged write
    int attempted = 0;       // the last number that was sent
    bool onboarded = false;  // acknowledged
  };

  // Only its thread uses it, until Stop.
  struct Bot {
    std::chrono::seconds deadline;
    std::vector<std::unique_ptr<Stub>> stubs;
    std::int64_t next_user = 0;
    std::vector<User> users;
    Tally tally;
  };

  void Run(Bot& bot);
  void Write(Bot& bot, std::size_t server, User& user);
  void Read(Bot& bot, std::size_t server, User& user);
  void Onboard(Bot& bot, std::size_t server, User& user);

  // Calls, counts, and says whether the answer was OK.
  template <typename Request, typename Response>
  grpc::Status Call(Bot& bot, std::size_t server, const char* name,
                    grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const Request& request, Response* response);

  void Acknowledged();

  std::atomic<bool> stopping_ = false;
  std::vector<std::atomic<int>> answers_;  // with OK, by server
  mutable base::Mutex mutex_;
  base::SteadyTime last_acknowledged_ ABSL_GUARDED_BY(mutex_);
  Pause longest_pause_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Bot>> bots_;
  std::vector<std::thread> threads_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_HA_BOTS_H_
