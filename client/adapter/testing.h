#ifndef USERPROFILE_CLIENT_ADAPTER_TESTING_H_
#define USERPROFILE_CLIENT_ADAPTER_TESTING_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/adapter/stdin_run.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/client/recognition.h"

namespace userprofile::adapter {

// Helps the tests of this folder.

// A file in memory, to be read from its begin.
class InputFile {
 public:
  explicit InputFile(const std::string& content);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

// A pipe that stays open until the test closes it.
class InputPipe {
 public:
  InputPipe();
  ~InputPipe();
  InputPipe(const InputPipe&) = delete;
  InputPipe& operator=(const InputPipe&) = delete;

  int fd() const { return fds_[0]; }
  void Write(const std::string& text);
  void CloseWriter();

 private:
  int fds_[2];
};

// A service that answers when the test says so. Calls that wait for something
// give up, and fail the test, after ten seconds.
class HeldService {
 public:
  // To be given to what is tested.
  Recognizer recognizer();

  // Waits until a call for the user is under way, and answers it.
  void Answer(std::int64_t user_id, absl::StatusOr<client::Recognition> answer =
                                        client::Recognition::kReturning);

  // Waits until `count` calls, ever, have begun.
  void AwaitCalls(std::size_t count);

  // Of each call that has begun, in order, the user.
  std::vector<std::int64_t> calls();

  // Whether two calls of a user were ever under way at once.
  bool overlapped();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::int64_t> calls_;
  std::map<std::int64_t, client::Done<client::Recognition>> under_way_;
  bool overlapped_ = false;
};

// An update of the Bot API: a message of the user.
std::string MessageOf(std::int64_t user_id, std::int64_t update_id);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_TESTING_H_
