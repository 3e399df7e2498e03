#include "client/adapter/stdin.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ios>
#include <iostream>
#include <iterator>
#include <memory>
#include <ostream>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/steady_time.h"
#include "client/adapter/input.h"
#include "client/adapter/options.h"
#include "ops/command_line.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;

constexpr char kStdinHelp[] =
    R"(Reads updates as the Bot API's getUpdates returns them in "result", one
JSON object a line, and prints one JSON object for each, in the same order.

Example:
  curl -s "https://api.telegram.org/bot$TOKEN/getUpdates" | jq -c '.result[]' |
    userprofile-adapter stdin --server 127.0.0.1:50051

  in:  {"update_id":7,"message":{"message_id":1,"date":1760860800,
        "from":{"id":12345,"is_bot":false,"first_name":"Test"},
        "chat":{"id":12345,"type":"private"},"text":"/start"}}   (one line)
  out: {"update_id":7,"user_id":12345,"recognized":"new"}

"recognized" is one of
  new        this update is the user's first contact
  returning  the user is known, but onboarding is not complete
  onboarded  the user is known, and onboarding is complete
  ignored    the update is nobody's contact: a poll, a bot, a channel ...
  error      nothing is known; see "code", "reason", "message" and "line"

A line that is no update is an error and stops nothing. An update may be given
any number of times. After a crash, give again what was not printed, or use
--checkpoint FILE and just run it again on the same input; it then stops at an
update that the service can't take in now.

Exit code: 0 all lines were handled, 1 some were errors or the end was not
reached, 2 wrong usage. SIGTERM and SIGINT finish what was read; a second one
ends at once.)";

// The second half of a run: prints what the window gives, moves the checkpoint
// on, tells how it goes, and remembers what the summary says.
class Printer {
 public:
  // All must outlive it. Sets `stop` if it can't go on.
  Printer(const StdinOptions& options, const Checkpoint& checkpoint,
          StopEvent& stop, std::ostream& output, std::ostream& log)
      : options_(options),
        stop_(stop),
        output_(output),
        log_(log),
        checkpoint_(checkpoint) {}

  // Works until the window is closed and empty.
  void Run(UpdateWindow& window) {
    for (auto outcomes = window.Take(); !outcomes.empty();
         outcomes = window.Take()) {
      for (const Outcome& outcome : outcomes) Print(outcome);
      if (!output_.flush()) stop_.Set();
      if (SteadyTime::Now() < next_save_) continue;
      next_save_ = SteadyTime::Now() + absl::Seconds(1);
      SaveProgress();
      if (options_.progress) ShowProgress();
    }
    SaveProgress();
    if (options_.progress) log_ << "\r\033[K";
  }

  // `input` is how the reading ended.
  void Summarize(const absl::Status& input) const {
    log_ << printed_ << " updates:";
    for (std::size_t i = 0; i < std::size(kRecognizedNames); ++i) {
      log_ << (i == 0 ? " " : ", ") << counts_[i] << " " << kRecognizedNames[i];
    }
    if (SteadyTime::Now() - begin_ >= absl::Seconds(1)) {
      log_ << "; " << static_cast<std::int64_t>(Rate()) << " a second";
    }
    log_ << "\n";
    if (first_error_) {
      log_ << "the first error, in line " << first_error_->line << ": "
           << first_error_->code << " " << first_error_->reason
           << (first_error_->reason.empty() ? "" : " ") << "("
           << first_error_->message << ")\n";
    }
    if (!output_) {
      log_ << "the output can't be written: what was not printed must be given "
              "again\n";
    } else if (!saved_.ok()) {
      log_ << saved_.message() << "\n";
    } else if (absl::IsCancelled(input)) {
      log_ << "stopped before the end of the input\n";
    } else if (!input.ok()) {
      log_ << input.message() << "\n";
    }
    if (!options_.checkpoint.empty() && output_ && saved_.ok() &&
        (held_back_ || !input.ok())) {
      log_ << "the next run goes on after line " << checkpoint_.line << "\n";
    }
    log_ << std::flush;
  }

  bool AllWell() const { return output_ && !first_error_ && saved_.ok(); }

 private:
  void Print(const Outcome& outcome) {
    if (!(output_ << ToJson(outcome) << '\n')) return;
    ++printed_;
    ++counts_[static_cast<std::size_t>(outcome.recognized)];
    if (outcome.is_error() && !first_error_) first_error_ = outcome;
    if (outcome.is_passing_error && !options_.checkpoint.empty()) {
      held_back_ = true;
      stop_.Set();
    }
    if (!held_back_) checkpoint_ = {outcome.line, outcome.update_id};
  }

  void SaveProgress() {
    if (options_.checkpoint.empty() || !output_ || !saved_.ok()) return;
    // EINVAL: of an output that is no file, nothing can be said but that it was
    // written.
    if (options_.output_fd >= 0 && ::fdatasync(options_.output_fd) != 0 &&
        errno != EINVAL) {
      output_.setstate(std::ios::badbit);
      stop_.Set();
      return;
    }
    saved_ = SaveCheckpoint(options_.checkpoint, checkpoint_);
    if (!saved_.ok()) stop_.Set();
  }

  double Rate() const {
    return static_cast<double>(printed_) /
           absl::ToDoubleSeconds(SteadyTime::Now() - begin_);
  }

  void ShowProgress() const {
    log_ << "\r\033[K" << printed_ << " updates, "
         << static_cast<std::int64_t>(Rate()) << " a second" << std::flush;
  }

  const StdinOptions& options_;
  StopEvent& stop_;
  std::ostream& output_;
  std::ostream& log_;

  const SteadyTime begin_ = SteadyTime::Now();
  SteadyTime next_save_ = begin_ + absl::Seconds(1);
  Checkpoint checkpoint_;
  bool held_back_ = false;  // by an update to be given again
  absl::Status saved_;
  std::int64_t printed_ = 0;
  std::int64_t counts_[std::size(kRecognizedNames)] = {};
  absl::optional<Outcome> first_error_;
};

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

struct StdinCommand {
  ServiceOptions service;
  StdinOptions options;
};

int Stdin(const StdinCommand& command) {
  static StopEvent stop;
  StopOnSignals(stop);
  const auto client = Connect(command.service);
  if (!client.ok()) return Fail(client.status());
  std::ios::sync_with_stdio(false);
  StdinOptions options = command.options;
  options.output_fd = STDOUT_FILENO;
  options.progress = ::isatty(STDERR_FILENO) != 0;
  return RunStdin(
      options,
      [&service = **client](v1::UpsertUserRequest contact,
                            client::Done<client::Recognition> done) {
        service.Recognize(std::move(contact), std::move(done));
      },
      stop, std::cout, std::cerr);
}

}  // namespace

UpdateWindow::Handler RecognizeWith(Recognizer recognizer) {
  return [recognizer = std::move(recognizer)](Update update,
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

void AddStdinCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "stdin",
      "Recognize the users behind updates read from standard input");
  flags.Footer(kStdinHelp);
  auto command = std::make_shared<StdinCommand>();
  AddServiceFlags(flags, command->service);
  ops::AddFlag(flags, "--in-flight", command->options.in_flight,
               "How many updates to work on at once")
      .TypeName("NUMBER")
      .Range(1, 65536);
  ops::AddFlag(
      flags, "--checkpoint", command->options.checkpoint,
      "Keeps in this file how far the input was handled, and goes on there")
      .TypeName("FILE");
  command_line.OnCall(flags, [command] { return Stdin(*command); });
}

}  // namespace userprofile::adapter
