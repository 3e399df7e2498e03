#ifndef USERPROFILE_CLIENT_ADAPTER_STDIN_H_
#define USERPROFILE_CLIENT_ADAPTER_STDIN_H_

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>

#include "client/adapter/stop_event.h"
#include "client/adapter/window.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/client/recognition.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {

// Asks the service who a contact is, as ProfileClient::Recognize does. The
// callback comes exactly once, on any thread, perhaps before the call returns.
using Recognizer = std::function<void(v1::UpsertUserRequest,
                                      client::Done<client::Recognition>)>;

// Handles updates by that alone.
UpdateWindow::Handler RecognizeWith(Recognizer recognizer);

// How `userprofile-adapter stdin` works.
struct StdinOptions {
  // Where to read from.
  int input_fd = 0;

  // How many updates may be read but not yet printed, at least 1; that many
  // calls are under way at most. More is faster, until the server refuses some.
  std::size_t in_flight = 1024;

  // A line longer than this is an error. Telegram's updates are much shorter.
  std::size_t max_line_length = 1024 * 1024;

  // A file that keeps how far the input was worked off, so that the next run
  // goes on there; empty for none.
  std::string checkpoint;

  // What is behind the output, if it has to be on disk before a checkpoint;
  // -1 for nothing.
  int output_fd = -1;

  // Whether to tell on `log` how it goes, on one line that is written over.
  bool progress = false;
};

// Reads updates, one JSON object a line, has each one's sender recognized, and
// writes an Outcome per update to `output`, one JSON object a line in the order
// of the input. What is there is flushed before waiting for more: what a killed
// process has not printed must be given again, which does no harm. Empty lines
// are skipped. At the end a summary without personal data goes to `log`.
//
// With a checkpoint, the lines before it are skipped, and it is moved on every
// second and at the end, behind what was printed. It stays before an update
// that the service could not take in now: the run stops there, to be begun
// again.
//
// When `stop` is set, reads no more, but finishes what it has read. Sets it by
// itself when `output` fails or it can't go on.
//
// Returns the exit code: 0 if every line of the input was handled without
// error, else 1.
int RunStdin(const StdinOptions& options, Recognizer recognizer,
             StopEvent& stop, std::ostream& output, std::ostream& log);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_STDIN_H_
