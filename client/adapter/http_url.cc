#include "client/adapter/http_url.h"

#include <regex>

#include "absl/strings/numbers.h"

namespace userprofile::adapter {

absl::StatusOr<HttpUrl> ParseHttpUrl(const std::string& url) {
  static const auto& pattern = *new std::regex(
      R"((https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?))"
      R"((/[!-~]*)?)");
  std::smatch match;
  int port = 0;
  if (!std::regex_match(url, match, pattern) ||
      (match[4].matched &&
       (!absl::SimpleAtoi(match[4].str(), &port) || port > 65535))) {
    return absl::InvalidArgumentError(
        "is a URL such as http://127.0.0.1:8080/update");
  }
  return HttpUrl{match[1], match[5].matched ? match[5].str() : "/"};
}

}  // namespace userprofile::adapter
