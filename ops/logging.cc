#include "ops/logging.h"

#include <utility>

#include "absl/strings/str_cat.h"
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

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message,
              spdlog::memory_buf_t& destination) override {
    const spdlog::string_view_t level =
        spdlog::level::to_string_view(message.level);
    const nlohmann::ordered_json line = {
        {"time",
         absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ",
                          absl::FromChrono(message.time), absl::UTCTimeZone())},
        {"level", std::string(level.data(), level.size())},
        {"message",
         std::string(message.payload.data(), message.payload.size())}};
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

std::unique_ptr<spdlog::formatter> MakeTextFormatter() {
  return std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v", spdlog::pattern_time_type::utc);
}

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
