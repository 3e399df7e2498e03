#ifndef USERPROFILE_CLIENT_ADAPTER_CHECKPOINT_H_
#define USERPROFILE_CLIENT_ADAPTER_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"

namespace userprofile::adapter {

// How far an input was worked off.
struct Checkpoint {
  std::int64_t line = 0;                   // the last one done, from 1; 0: none
  absl::optional<std::int64_t> update_id;  // in that line, to know it again
};

// Reads a checkpoint; that before the first line if there is no such file.
// INVALID_ARGUMENT if the file can't be read, FAILED_PRECONDITION if it is no
// checkpoint.
absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& file);

// Writes it, so that whatever is killed, the file holds the old or the new one;
// it is on disk when this returns OK. FAILED_PRECONDITION if that fails, with
// the old one kept. The folder of the file must be writable.
absl::Status SaveCheckpoint(const std::string& file,
                            const Checkpoint& checkpoint);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_CHECKPOINT_H_
