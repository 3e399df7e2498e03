#ifndef USERPROFILE_TESTS_SUPPORT_CAPTURED_LOG_H_
#define USERPROFILE_TESTS_SUPPORT_CAPTURED_LOG_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/spdlog.h"

namespace userprofile::testing {

// Keeps what is logged. Thread-safe.
class KeptLog final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::string text() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }

  void Clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    text_.clear();
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    text_.append(line.data(), line.size());
  }
  void flush_() override {}

  std::string text_;  // protected by mutex_
};

// As long as it lives, what is logged is kept here and goes nowhere else. To be
// made before threads that may log, and to outlive them.
class CapturedLog {
 public:
  explicit CapturedLog(
      std::unique_ptr<spdlog::formatter> formatter =
          std::make_unique<spdlog::pattern_formatter>("%l %v")) {
    kept_->set_formatter(std::move(formatter));
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", kept_));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string text() const { return kept_->text(); }
  void Clear() { kept_->Clear(); }

 private:
  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  const std::shared_ptr<KeptLog> kept_ = std::make_shared<KeptLog>();
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_CAPTURED_LOG_H_
