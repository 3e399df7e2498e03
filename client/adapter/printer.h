#ifndef USERPROFILE_CLIENT_ADAPTER_PRINTER_H_
#define USERPROFILE_CLIENT_ADAPTER_PRINTER_H_

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/steady_time.h"
#include "client/adapter/checkpoint.h"
#include "client/adapter/outcome.h"
#include "client/adapter/stdin_run.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/update_window.h"

namespace userprofile::adapter {

// The second half of a run: prints what the window gives, moves the checkpoint
// on, tells how it goes, and remembers what the summary says.
class Printer {
 public:
  // All must outlive it. Sets `stop` if it can't go on.
  Printer(const StdinOptions& options, const Checkpoint& checkpoint,
          StopEvent& stop, std::ostream& output, std::ostream& log);

  // Works until the window is closed and empty.
  void Run(UpdateWindow& window);

  // `input` is how the reading ended.
  void Summarize(const absl::Status& input) const;

  bool AllWell() const;

 private:
  void Print(const Outcome& outcome);
  void SaveProgress();
  void ShowProgress() const;
  double Rate() const;

  const StdinOptions& options_;
  StopEvent& stop_;
  std::ostream& output_;
  std::ostream& log_;

  const base::SteadyTime begin_ = base::SteadyTime::Now();
  base::SteadyTime next_save_ = begin_ + absl::Seconds(1);
  Checkpoint checkpoint_;
  bool held_back_ = false;  // by an update to be given again
  absl::Status saved_;
  std::int64_t printed_ = 0;
  std::map<std::string, std::int64_t> counts_;
  absl::optional<Outcome> first_error_;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_PRINTER_H_
