#include "client/adapter/printer.h"

#include <unistd.h>

#include <cerrno>
#include <ios>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"

namespace userprofile::adapter {

using base::SteadyTime;

Printer::Printer(const StdinOptions& options, const Checkpoint& checkpoint,
                 StopEvent& stop, std::ostream& output, std::ostream& log)
    : options_(options),
      stop_(stop),
      output_(output),
      log_(log),
      checkpoint_(checkpoint) {}

void Printer::Run(UpdateWindow& window) {
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

void Printer::Print(const Outcome& outcome) {
  if (!(output_ << ToJson(outcome) << '\n')) return;
  ++printed_;
  ++counts_[outcome.recognized];
  if (outcome.is_error() && !first_error_) first_error_ = outcome;
  if (outcome.is_passing_error && !options_.checkpoint.empty()) {
    held_back_ = true;
    stop_.Set();
  }
  if (!held_back_) checkpoint_ = {outcome.line, outcome.update_id};
}

void Printer::SaveProgress() {
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

double Printer::Rate() const {
  return static_cast<double>(printed_) /
         absl::ToDoubleSeconds(SteadyTime::Now() - begin_);
}

void Printer::ShowProgress() const {
  log_ << "\r\033[K" << printed_ << " updates, "
       << static_cast<std::int64_t>(Rate()) << " a second" << std::flush;
}

void Printer::Summarize(const absl::Status& input) const {
  log_ << printed_ << " updates:";
  const char* separator = " ";
  for (const char* recognized :
       {"new", "returning", "onboarded", "ignored", "error"}) {
    const auto count = counts_.find(recognized);
    log_ << separator << (count == counts_.end() ? 0 : count->second) << " "
         << recognized;
    separator = ", ";
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

bool Printer::AllWell() const {
  return output_ && !first_error_ && saved_.ok();
}

}  // namespace userprofile::adapter
