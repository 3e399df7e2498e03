#ifndef USERPROFILE_CLIENT_ADAPTER_INPUT_H_
#define USERPROFILE_CLIENT_ADAPTER_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "client/adapter/stop_event.h"

namespace userprofile::adapter {

// A line of the input, without its end.
struct Line {
  std::int64_t number = 0;  // from 1
  std::string text;         // empty if it is too long
  bool too_long = false;
};

// Reads lines from a file descriptor, of whatever kind, in bounded memory. Ends
// early, even while it waits for input, when `stop` is set: no stream of the
// standard library can do that. Not thread-safe.
class LineReader {
 public:
  // Lines of more than `max_length` bytes are read past. Owns nothing: `fd` and
  // `stop` must outlive the reader.
  LineReader(int fd, const StopEvent& stop, std::size_t max_length);

  // The next line. The last one may lack its end. nullopt at the end.
  absl::optional<Line> Next();

  // Why Next() returned nullopt: OK at the end of the input, CANCELLED if it
  // was stopped before, UNAVAILABLE if the input can't be read.
  const absl::Status& status() const { return status_; }

 private:
  bool Fill();
  void Take(Line& line, std::size_t size);

  const int fd_;
  const StopEvent& stop_;
  const std::size_t max_length_;

  std::string buffer_;      // what was read at once
  std::size_t begin_ = 0;   // of what is not yet taken from it
  std::int64_t lines_ = 0;  // begun so far
  bool at_end_ = false;
  absl::Status status_;
};

// How far an input was worked off.
struct Checkpoint {
  std::int64_t line = 0;                   // the last one done, from 1; 0: none
  absl::optional<std::int64_t> update_id;  // in that line, to know it again
};

// Reads a checkpoint; that before the first line if there is no such file.
// INVALID_ARGUMENT if the file can't be read, FAILED_PRECONDITION if it is no
// checkpoint.
absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& file);

// Writes it by base::ReplaceFile.
absl::Status SaveCheckpoint(const std::string& file,
                            const Checkpoint& checkpoint);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_INPUT_H_
