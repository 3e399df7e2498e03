#include "client/adapter/http_client.h"

#include <tuple>

#include <gtest/gtest.h>

namespace userprofile::adapter {
namespace {

TEST(HttpUrlTest, IsAnOriginAndAPath) {
  for (const auto& [url, origin, path] :
       {std::tuple{"http://127.0.0.1:8090/update?x=1", "http://127.0.0.1:8090",
                   "/update?x=1"},
        std::tuple{"https://api.telegram.org", "https://api.telegram.org", "/"},
        std::tuple{"http://[::1]:80/", "http://[::1]:80", "/"}}) {
    const auto parsed = ParseHttpUrl(url);
    ASSERT_TRUE(parsed.ok()) << url;
    EXPECT_EQ(parsed->origin, origin);
    EXPECT_EQ(parsed->path, path);
  }
}

TEST(HttpUrlTest, RefusesWhatIsNone) {
  for (const char* url :
       {"", "bot:8090", "ftp://bot/", "http://", "http://user:word@bot/",
        "http://bot:99999/", "http://bot:x/", "http://bot/a b",
        "http://bot/\r\nX: y", "HTTP://bot/"}) {
    EXPECT_FALSE(ParseHttpUrl(url).ok()) << url;
  }
}

}  // namespace
}  // namespace userprofile::adapter
