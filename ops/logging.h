#ifndef USERPROFILE_OPS_LOGGING_H_
#define USERPROFILE_OPS_LOGGING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "spdlog/common.h"
#include "spdlog/formatter.h"

namespace userprofile::ops {

// How the process logs.
struct LoggingOptions {
  // "text": a line for people, control characters in it made blanks. "json":
  // one object a line, with the members time (RFC 3339, UTC), level and
  // message; valid whatever the message holds.
  std::string format = "text";

  // The least level that is logged: "debug", "info", "warning" or "error".
  std::string level = "info";
};

// Makes spdlog's default logger, and Protobuf's, write to stderr in this way.
// INVALID_ARGUMENT, and nothing changed, for a format or a level that does not
// exist. To be called once, before there are other threads.
absl::Status SetUpLogging(const LoggingOptions& options);

// What a line says beside its message, under a key for programs.
struct LogField {
  absl::string_view key;
  std::variant<absl::string_view, double, std::int64_t> value;
};

// Logs a line with fields. In text they follow the message as key=value, texts
// in quotes where they are more than a word, without those that are empty; in
// JSON they are members of the object.
void Log(spdlog::level::level_enum level, absl::string_view message,
         absl::Span<const LogField> fields);

// Keeps what callers cause from flooding the log: lets through `burst` messages
// per interval. Thread-safe.
class LogLimiter {
 public:
  LogLimiter(int burst, absl::Duration interval,
             base::SteadyClock clock = base::SteadyTime::Now)
      : burst_(burst), interval_(interval), clock_(std::move(clock)) {}

  // Whether a message may be logged now. If so, how many were held back in the
  // intervals before: the first message of an interval should say so.
  absl::optional<std::int64_t> Admit();

 private:
  const int burst_;
  const absl::Duration interval_;
  const base::SteadyClock clock_;

  base::Mutex mutex_;
  base::SteadyTime interval_end_ ABSL_GUARDED_BY(mutex_);
  int admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t held_back_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The formatters behind the formats. Only they write fields, and only in a
// logger that is not asynchronous.
std::unique_ptr<spdlog::formatter> MakeTextFormatter();
std::unique_ptr<spdlog::formatter> MakeJsonFormatter();

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_LOGGING_H_
