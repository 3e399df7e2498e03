// Part of programs, not of a library: it is at work by being linked.

#include <fcntl.h>
#include <unistd.h>

namespace userprofile::programs {
namespace {

// A standard stream that was closed would become the next thing that is opened,
// to be read or written in the stream's place. What is put there fails instead.
void FillClosedStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1) continue;
    (void)::open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
  }
}

// Before main() is too late: libraries open things when they are loaded.
[[gnu::section(".preinit_array"),
  gnu::used]] void (*fill_closed_streams)() = FillClosedStreams;

}  // namespace
}  // namespace userprofile::programs
