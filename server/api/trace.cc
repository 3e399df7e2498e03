#include "server/api/trace.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace userprofile::api {
namespace {

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsId(absl::string_view text, std::size_t size) {
  return text.size() == size && IsHex(text) &&
         text.find_first_not_of('0') != absl::string_view::npos;
}

}  // namespace

bool IsTraceparent(absl::string_view value) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(value, absl::MaxSplits('-', 4));
  if (parts.size() < 4 || parts[0].size() != 2 || !IsHex(parts[0]) ||
      parts[0] == "ff") {
    return false;
  }
  // Versions to come may add to the end.
  if (parts.size() > 4 && parts[0] == "00") return false;
  return IsId(parts[1], 32) && IsId(parts[2], 16) && parts[3].size() == 2 &&
         IsHex(parts[3]);
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
  return traceparent.substr(3, 32);
}

}  // namespace userprofile::api
