#ifndef USERPROFILE_CLIENT_ADAPTER_STDIN_RUN_H_
#define USERPROFILE_CLIENT_ADAPTER_STDIN_RUN_H_

#include <cstddef>
#include <iosfwd>

#include "client/adapter/stop_event.h"
#include "client/adapter/update_window.h"

namespace userprofile::adapter {

// How `userprofile-adapter stdin` works.
struct StdinOptions {
  // Where to read from.
  int input_fd = 0;

  // How many updates may be read but not yet printed, at least 1; that many
  // calls are under way at most. More is faster, until the server refuses some.
  std::size_t in_flight = 64;

  // A line longer than this is an error. Telegram's updates are much shorter.
  std::size_t max_line_length = 1024 * 1024;
};

// Reads updates, one JSON object a line, has each one's sender recognized, and
// writes an Outcome per update to `output`, one JSON object a line in the order
// of the input, each flushed by itself: what a killed process has not printed
// must be given again, which does no harm. Empty lines are skipped. At the end
// a summary without personal data goes to `log`.
//
// When `stop` is set, reads no more, but finishes what it has read. Sets it by
// itself when `output` fails.
//
// Returns the exit code: 0 if every line of the input was handled without
// error, else 1.
int RunStdin(const StdinOptions& options, Recognizer recognizer,
             StopEvent& stop, std::ostream& output, std::ostream& log);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_STDIN_RUN_H_
