#include "client/adapter/json_text.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 100;

// The parser's own messages quote what they stumble over.
json Parse(const std::string& text) {
  return json::parse(
      text,
      [](int depth, json::parse_event_t, json&) { return depth <= kMaxDepth; },
      /*allow_exceptions=*/false);
}

// The code unit that is written as "\uXXXX" there; 0 if it is something else.
std::uint32_t CodeUnitAt(absl::string_view text, std::size_t at) {
  std::uint32_t unit = 0;
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u' ||
      !absl::SimpleHexAtoi(text.substr(at + 2, 4), &unit)) {
    return 0;
  }
  return unit;
}

std::string Mend(const std::string& text) {
  // The library replaces wrong bytes where it writes, but not where it reads.
  std::string result =
      json::parse(
          json(text).dump(-1, ' ', false, json::error_handler_t::replace))
          .get<std::string>();
  std::size_t next;
  for (auto at = result.find('\\'); at != std::string::npos;
       at = result.find('\\', next)) {
    const std::uint32_t half = CodeUnitAt(result, at) >> 10;
    next = at + 2;
    if (half == 0xd800 >> 10 &&
        CodeUnitAt(result, at + 6) >> 10 == 0xdc00 >> 10) {
      next = at + 12;
    } else if (half == 0xd800 >> 10 || half == 0xdc00 >> 10) {
      result.replace(at + 2, 4, "fffd");
    }
  }
  return result;
}

}  // namespace

json ParseJson(std::string& text) {
  json value = Parse(text);
  if (!value.is_discarded()) return value;
  std::string mended = Mend(text);
  if (mended == text) return value;
  text = std::move(mended);
  return Parse(text);
}

}  // namespace userprofile::adapter
