#include "client/adapter/stdin_run.h"

#include <ostream>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "client/adapter/checkpoint.h"
#include "client/adapter/line_reader.h"
#include "client/adapter/printer.h"
#include "client/adapter/update_line.h"

namespace userprofile::adapter {
namespace {

// Reads past the lines that are done. FAILED_PRECONDITION if they are not those
// that the checkpoint is of.
absl::Status Skip(const Checkpoint& done, LineReader& reader) {
  absl::optional<Line> line;
  for (std::int64_t i = 0; i < done.line; ++i) {
    line = reader.Next();
    if (!line && !reader.status().ok()) return reader.status();
    if (!line) break;
  }
  if (done.line > 0 &&
      (!line ||
       ReadUpdateLine(*std::move(line)).outcome.update_id != done.update_id)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the checkpoint is of another input: line ", done.line,
        " is not the update that was done last; nothing was sent"));
  }
  return absl::OkStatus();
}

}  // namespace

UpdateWindow::Handler RecognizeWith(Recognizer recognizer) {
  return [recognizer = std::move(recognizer)](UpdateLine update,
                                              UpdateWindow::Done done) {
    if (!update.contact) return done(std::move(update.outcome));
    recognizer(*std::move(update.contact),
               [outcome = std::move(update.outcome), done = std::move(done)](
                   const absl::StatusOr<client::Recognition>& answer) mutable {
                 outcome.Set(answer);
                 done(std::move(outcome));
               });
  };
}

int RunStdin(const StdinOptions& options, Recognizer recognizer,
             StopEvent& stop, std::ostream& output, std::ostream& log) {
  Checkpoint checkpoint;
  LineReader reader(options.input_fd, stop, options.max_line_length);
  if (!options.checkpoint.empty()) {
    const auto loaded = LoadCheckpoint(options.checkpoint);
    const absl::Status skipped =
        loaded.ok() ? Skip(*loaded, reader) : loaded.status();
    if (!skipped.ok()) {
      log << skipped.message() << std::endl;
      return 1;
    }
    checkpoint = *loaded;
  }
  UpdateWindow window(options.in_flight, RecognizeWith(std::move(recognizer)));
  Printer printer(options, checkpoint, stop, output, log);
  std::thread printing([&] { printer.Run(window); });

  while (absl::optional<Line> line = reader.Next()) {
    const bool empty =
        !line->too_long && absl::StripAsciiWhitespace(line->text).empty();
    if (!empty) window.Add(ReadUpdateLine(*std::move(line)));
  }
  window.Close();
  printing.join();

  printer.Summarize(reader.status());
  return printer.AllWell() && reader.status().ok() ? 0 : 1;
}

}  // namespace userprofile::adapter
