#ifndef USERPROFILE_CLIENT_ADAPTER_UPDATE_WINDOW_H_
#define USERPROFILE_CLIENT_ADAPTER_UPDATE_WINDOW_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "client/adapter/outcome.h"
#include "client/adapter/update_line.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/client/recognition.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {

// Asks the service who a contact is, as ProfileClient::Recognize does. The
// callback comes exactly once, on any thread, perhaps before the call returns.
using Recognizer = std::function<void(v1::UpsertUserRequest,
                                      client::Done<client::Recognition>)>;

// The updates that were read but whose outcome is not yet taken: a queue, with
// the service's work going on inside it. Contacts of different users are sent
// at once, each user's one after the other, and the outcomes come out in the
// order in which the updates went in. Thread-safe; made for one thread that
// adds and one that takes.
class UpdateWindow {
 public:
  // Holds `capacity` updates, at least 1: that many calls are under way at
  // most.
  UpdateWindow(std::size_t capacity, Recognizer recognizer);

  // Every outcome must have been taken.
  ~UpdateWindow() = default;

  UpdateWindow(const UpdateWindow&) = delete;
  UpdateWindow& operator=(const UpdateWindow&) = delete;

  // Adds an update; waits while the window is full.
  void Add(UpdateLine update);

  // No more updates will be added.
  void Close();

  // Takes the outcomes of the oldest updates: all that are there, and waits for
  // the first. None once the window is closed and empty.
  std::vector<Outcome> Take();

 private:
  struct Entry {
    UpdateLine update;
    bool finished = false;
  };

  void Send(Entry& entry);
  void Finish(Entry& entry, const absl::StatusOr<client::Recognition>& answer);

  const std::size_t capacity_;
  const Recognizer recognizer_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Protected by mutex_. An entry keeps its address until it is taken.
  std::deque<Entry> entries_;
  // The users with a call under way, and what waits for its end, in order.
  std::unordered_map<std::int64_t, std::deque<Entry*>> waiting_;
  bool closed_ = false;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_UPDATE_WINDOW_H_
