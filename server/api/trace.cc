#include "server/api/trace.h"

#include <algorithm>
#include <cstdint>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"

namespace userprofile::api {
namespace {

constexpr std::size_t kTraceAt = 3;
constexpr std::size_t kTraceSize = 32;
constexpr std::size_t kParentAt = kTraceAt + kTraceSize + 1;
constexpr std::size_t kParentSize = 16;
constexpr std::size_t kFlagsAt = kParentAt + kParentSize + 1;
constexpr std::size_t kSize = kFlagsAt + 2;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsId(absl::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != absl::string_view::npos;
}

// Versions to come may add to the end, after another hyphen.
bool HasKnownSize(absl::string_view value) {
  if (value.size() == kSize) return true;
  return value.size() > kSize && value[kSize] == '-' &&
         value.substr(0, 2) != "00";
}

}  // namespace

bool IsTraceparent(absl::string_view value) {
  return HasKnownSize(value) && IsHex(value.substr(0, 2)) &&
         value.substr(0, 2) != "ff" && value[kTraceAt - 1] == '-' &&
         IsId(value.substr(kTraceAt, kTraceSize)) &&
         value[kParentAt - 1] == '-' &&
         IsId(value.substr(kParentAt, kParentSize)) &&
         value[kFlagsAt - 1] == '-' && IsHex(value.substr(kFlagsAt, 2));
}

std::string MakeTraceparent() {
  thread_local absl::InsecureBitGen random;
  const auto id = [] {
    return absl::Uniform<std::uint64_t>(absl::IntervalClosed, random, 1,
                                        ~std::uint64_t{0});
  };
  return absl::StrFormat("00-%016x%016x-%016x-00", id(), id(), id());
}

absl::string_view TraceId(absl::string_view traceparent) {
  return traceparent.substr(kTraceAt, kTraceSize);
}

}  // namespace userprofile::api
