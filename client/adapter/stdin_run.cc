#include "client/adapter/stdin_run.h"

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "client/adapter/line_reader.h"
#include "client/adapter/outcome.h"
#include "client/adapter/update_line.h"

namespace userprofile::adapter {
namespace {

// Prints outcomes, and remembers what the summary says.
class Printer {
 public:
  Printer(std::ostream& output, StopEvent& stop)
      : output_(output), stop_(stop) {}

  // Prints what the window gives, until its end.
  void Run(UpdateWindow& window) {
    while (const absl::optional<Outcome> outcome = window.Next()) {
      if (!(output_ << ToJson(*outcome) << '\n' << std::flush)) {
        stop_.Set();
        continue;
      }
      ++printed_;
      ++counts_[outcome->recognized];
      if (outcome->is_error() && !first_error_) first_error_ = *outcome;
    }
  }

  void Summarize(const absl::Status& input, std::ostream& log) const {
    log << printed_ << " updates:";
    const char* separator = " ";
    for (const char* recognized :
         {"new", "returning", "onboarded", "ignored", "error"}) {
      const auto count = counts_.find(recognized);
      log << separator << (count == counts_.end() ? 0 : count->second) << " "
          << recognized;
      separator = ", ";
    }
    log << "\n";
    if (first_error_) {
      log << "the first error, in line " << first_error_->line << ": "
          << first_error_->code << " " << first_error_->reason
          << (first_error_->reason.empty() ? "" : " ") << "("
          << first_error_->message << ")\n";
    }
    if (!output_) {
      log << "the output can't be written: what was not printed must be given "
             "again\n";
    } else if (absl::IsCancelled(input)) {
      log << "stopped before the end of the input\n";
    } else if (!input.ok()) {
      log << input.message() << "\n";
    }
    log << std::flush;
  }

  bool AllWell() const { return output_ && !first_error_; }

 private:
  std::ostream& output_;
  StopEvent& stop_;
  std::int64_t printed_ = 0;
  std::map<std::string, std::int64_t> counts_;
  absl::optional<Outcome> first_error_;
};

}  // namespace

int RunStdin(const StdinOptions& options, Recognizer recognizer,
             StopEvent& stop, std::ostream& output, std::ostream& log) {
  UpdateWindow window(options.in_flight, std::move(recognizer));
  Printer printer(output, stop);
  std::thread printing([&] { printer.Run(window); });

  LineReader reader(options.input_fd, stop, options.max_line_length);
  while (const absl::optional<Line> line = reader.Next()) {
    const bool empty =
        !line->too_long && absl::StripAsciiWhitespace(line->text).empty();
    if (!empty) window.Add(ReadUpdateLine(*line));
  }
  window.Close();
  printing.join();

  printer.Summarize(reader.status(), log);
  return printer.AllWell() && reader.status().ok() ? 0 : 1;
}

}  // namespace userprofile::adapter
