#include "server/api/trace.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace userprofile::api {
namespace {

constexpr char kValid[] =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceTest, KnowsItsTrace) {
  ASSERT_TRUE(IsTraceparent(kValid));
  EXPECT_EQ(TraceId(kValid), "4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST(TraceTest, AVersionToComeMaySayMore) {
  std::string later = absl::StrCat(kValid, "-what-comes");
  EXPECT_FALSE(IsTraceparent(later));
  later[1] = '1';
  EXPECT_TRUE(IsTraceparent(later));
}

TEST(TraceTest, RefusesWhatIsNone) {
  const std::string valid = kValid;
  for (const std::string& value :
       {std::string(), std::string("00"), valid + "0",
        valid.substr(0, valid.size() - 1), "ff" + valid.substr(2),
        "00-00000000000000000000000000000000" + valid.substr(35),
        valid.substr(0, 36) + "0000000000000000-01",
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736") + valid.substr(35),
        "00-4bf92f3577b34da6a3ce929d0e0e473\n" + valid.substr(35),
        std::string(55, '-'), std::string(10000, 'a')}) {
    EXPECT_FALSE(IsTraceparent(value)) << value;
  }
  // A wrong character anywhere.
  for (std::size_t i = 0; i < valid.size(); ++i) {
    std::string value = valid;
    value[i] = 'g';
    EXPECT_FALSE(IsTraceparent(value)) << value;
  }
}

TEST(TraceTest, MakesValidOnesThatDiffer) {
  std::set<std::string> traces;
  for (int i = 0; i < 1000; ++i) {
    const std::string made = MakeTraceparent();
    ASSERT_TRUE(IsTraceparent(made)) << made;
    traces.emplace(TraceId(made));
  }
  EXPECT_EQ(traces.size(), 1000u);
}

}  // namespace
}  // namespace userprofile::api
