#include "ops/logging.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/stubs/logging.h"
#include "nlohmann/json.hpp"
#include "spdlog/logger.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace userprofile::ops {
namespace {

// Of the line that this thread logs right now: a message of spdlog has no place
// for them.
thread_local absl::Span<const LogField> fields_of_line;

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message,
              spdlog::memory_buf_t& destination) override {
    const spdlog::string_view_t level =
        spdlog::level::to_string_view(message.level);
    nlohmann::ordered_json line = {
        {"time",
         absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ",
                          absl::FromChrono(message.time), absl::UTCTimeZone())},
        {"level", std::string(level.data(), level.size())},
        {"message",
         std::string(message.payload.data(), message.payload.size())}};
    for (const LogField& field : fields_of_line) {
      nlohmann::ordered_json& member = line[std::string(field.key)];
      if (const auto* text = std::get_if<absl::string_view>(&field.value)) {
        member = std::string(*text);
      } else if (const auto* number = std::get_if<double>(&field.value)) {
        member = *number;
      } else {
        member = std::get<std::int64_t>(field.value);
      }
    }
    // Without spaces, invalid UTF-8 replaced.
    const std::string text =
        line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    destination.append(text.data(), text.data() + text.size());
    destination.push_back('\n');
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

bool IsWord(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-_.:/@", c);
  });
}

std::string InText(const LogField& field) {
  if (const auto* text = std::get_if<absl::string_view>(&field.value)) {
    if (text->empty()) return "";
    return IsWord(*text) ? absl::StrCat(" ", field.key, "=", *text)
                         : absl::StrCat(" ", field.key, "=\"",
                                        absl::Utf8SafeCEscape(*text), "\"");
  }
  if (const auto* number = std::get_if<double>(&field.value)) {
    return absl::StrFormat(" %s=%.3f", field.key, *number);
  }
  return absl::StrCat(" ", field.key, "=", std::get<std::int64_t>(field.value));
}

// The message, on one line whatever it holds, and the fields: "%*" of the text
// format.
class LineFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& time,
              spdlog::memory_buf_t& destination) override {
    for (const char c : message.payload) {
      destination.push_back(absl::ascii_iscntrl(c) ? ' ' : c);
    }
    for (const LogField& field : fields_of_line) {
      const std::string text = InText(field);
      destination.append(text.data(), text.data() + text.size());
    }
  }

  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<LineFlag>();
  }
};

// Protobuf would write to stderr in a form of its own, above all that a text
// which a caller sent is not UTF-8: the caller is told, the log need not be.
void LogForProtobuf(google::protobuf::LogLevel level, const char*, int,
                    const std::string& message) {
  spdlog::log(level == google::protobuf::LOGLEVEL_FATAL
                  ? spdlog::level::critical
                  : spdlog::level::debug,
              "Protobuf: {}", message);
}

}  // namespace

void Log(spdlog::level::level_enum level, absl::string_view message,
         absl::Span<const LogField> fields) {
  fields_of_line = fields;
  spdlog::log(level, spdlog::string_view_t(message.data(), message.size()));
  fields_of_line = {};
}

absl::optional<std::int64_t> LogLimiter::Admit() {
  const base::SteadyTime now = clock_();
  base::MutexLock lock(mutex_);
  if (now >= interval_end_) {
    interval_end_ = now + interval_;
    admitted_ = 0;
  }
  if (admitted_ >= burst_) {
    ++held_back_;
    return absl::nullopt;
  }
  ++admitted_;
  return std::exchange(held_back_, 0);
}

std::unique_ptr<spdlog::formatter> MakeTextFormatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(
      spdlog::pattern_time_type::utc);
  formatter->add_flag<LineFlag>('*').set_pattern(
      "%Y-%m-%dT%H:%M:%S.%eZ %-7l %*");
  return formatter;
}

std::unique_ptr<spdlog::formatter> MakeJsonFormatter() {
  return std::make_unique<JsonFormatter>();
}

absl::Status SetUpLogging(const LoggingOptions& options) {
  std::unique_ptr<spdlog::formatter> formatter;
  if (options.format == "text") {
    formatter = MakeTextFormatter();
  } else if (options.format == "json") {
    formatter = MakeJsonFormatter();
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no log format \"", options.format, "\": text or json"));
  }
  const auto level = spdlog::level::from_str(options.level);
  if (level < spdlog::level::debug || level > spdlog::level::err) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no log level \"", options.level,
                     "\": debug, info, warning or error"));
  }
  auto logger = std::make_shared<spdlog::logger>(
      "userprofile", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::move(formatter));
  logger->set_level(level);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  google::protobuf::SetLogHandler(LogForProtobuf);
  return absl::OkStatus();
}

}  // namespace userprofile::ops
