#include "client/adapter/bot_call.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/adapter/update.h"

namespace userprofile::adapter {
namespace {

using absl::string_view;

absl::optional<std::int64_t> NumberOf(string_view text) {
  std::int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return absl::nullopt;
  return number;
}

// Of a form, or of what is behind a path. Neither names nor digits are ever
// written there by anything but themselves.
absl::optional<std::int64_t> InForm(string_view form, string_view name) {
  for (string_view pair : absl::StrSplit(form, '&')) {
    if (absl::ConsumePrefix(&pair, name) && absl::ConsumePrefix(&pair, "=")) {
      return NumberOf(pair);
    }
  }
  return absl::nullopt;
}

absl::optional<std::int64_t> InJson(string_view body, string_view name) {
  std::string text(body);
  const auto json = ParseJson(text);
  const auto found =
      json.is_object() ? json.find(std::string(name)) : json.end();
  if (found == json.end()) return absl::nullopt;
  return NumberOf(found->is_string() ? found->get_ref<const std::string&>()
                                     : found->dump());
}

// The value of a header's parameter, such as boundary="x".
string_view Parameter(string_view header, string_view name) {
  for (string_view part : absl::StrSplit(header, ';')) {
    part = absl::StripAsciiWhitespace(part);
    if (!absl::StartsWithIgnoreCase(part, name)) continue;
    part.remove_prefix(name.size());
    if (!absl::ConsumePrefix(&part, "=")) continue;
    if (absl::ConsumePrefix(&part, "\"")) absl::ConsumeSuffix(&part, "\"");
    return part;
  }
  return "";
}

absl::optional<std::int64_t> InMultipart(string_view body,
                                         string_view content_type,
                                         string_view name) {
  const string_view boundary = Parameter(content_type, "boundary");
  if (boundary.empty()) return absl::nullopt;
  // The first part is what comes before the first line between two.
  const std::string text = absl::StrCat("\r\n", body);
  const std::vector<string_view> parts =
      absl::StrSplit(text, absl::StrCat("\r\n--", boundary));
  // The last one may be cut off.
  for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
    const std::size_t end = parts[i].find("\r\n\r\n");
    if (end == string_view::npos) continue;
    for (const string_view line :
         absl::StrSplit(parts[i].substr(0, end), "\r\n")) {
      if (absl::StartsWithIgnoreCase(line, "content-disposition:") &&
          Parameter(line, "name") == name) {
        return NumberOf(parts[i].substr(end + 4));
      }
    }
  }
  return absl::nullopt;
}

}  // namespace

BotCall ReadBotCall(const ops::HttpRequest& request) {
  BotCall call = {.bot = kUnknownBot};
  string_view path = request.path;
  const bool is_file = absl::ConsumePrefix(&path, "/file");
  if (!absl::ConsumePrefix(&path, "/bot")) return call;
  const string_view id = path.substr(0, path.find(':'));
  if (!id.empty() && id.size() < 20 &&
      std::all_of(id.begin(), id.end(), absl::ascii_isdigit)) {
    call.bot = std::string(id);
  }
  if (!is_file && absl::StrContains(path, '/')) {
    call.method = absl::AsciiStrToLower(path.substr(path.rfind('/') + 1));
  }
  return call;
}

absl::optional<std::int64_t> NumberArgument(const ops::HttpRequest& request,
                                            string_view body, string_view name,
                                            bool whole) {
  const std::size_t query = request.target.find('?');
  if (query != std::string::npos) {
    const auto found =
        InForm(string_view(request.target).substr(query + 1), name);
    if (found) return found;
  }
  const string_view type = request.Header("Content-Type");
  if (absl::StartsWithIgnoreCase(type, "application/json")) {
    return InJson(body, name);
  }
  if (absl::StartsWithIgnoreCase(type, "multipart/form-data")) {
    return InMultipart(body, type, name);
  }
  if (!whole) {
    const std::size_t last = body.rfind('&');
    body = body.substr(0, last == string_view::npos ? 0 : last);
  }
  return InForm(body, name);
}

}  // namespace userprofile::adapter
