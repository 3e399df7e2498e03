#ifndef USERPROFILE_CLIENT_ADAPTER_HTTP_URL_H_
#define USERPROFILE_CLIENT_ADAPTER_HTTP_URL_H_

#include <string>

#include "absl/status/statusor.h"

namespace userprofile::adapter {

// Where to send HTTP requests.
struct HttpUrl {
  std::string origin;  // "http://127.0.0.1:8080", as httplib::Client takes it
  std::string path;    // "/hook?x=1"; "/" if the URL names none
};

// Reads http://HOST[:PORT][/PATH] or the same with https. INVALID_ARGUMENT,
// without quoting it, for anything else, also for a URL with a user or a
// password in it.
absl::StatusOr<HttpUrl> ParseHttpUrl(const std::string& url);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_HTTP_URL_H_
