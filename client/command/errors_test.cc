#include "client/command/errors.h"

#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::command {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ErrorsTest, SaysTheReasonAndWhatToDo) {
  EXPECT_EQ(Explain(base::MakeError(absl::StatusCode::kAborted,
                                    "user 1 has revision 5",
                                    v1::ERROR_REASON_REVISION_MISMATCH)),
            "userprofile: user 1 has revision 5 (REVISION_MISMATCH)\n"
            "  look at what was written with 'userprofile get', and give the "
            "new revision to --if-revision");
  EXPECT_EQ(Explain(absl::InvalidArgumentError("no \x1b")),
            "userprofile: no \ufffd");
}

TEST(ErrorsTest, OfWhatGrpcEndsItAsksWhetherTheServiceIsThere) {
  for (const absl::Status& status :
       {absl::UnavailableError("reset"), absl::DeadlineExceededError("late")}) {
    EXPECT_THAT(Explain(status), HasSubstr("--server HOST:PORT"));
  }
  EXPECT_THAT(Explain(base::MakeError(absl::StatusCode::kUnavailable,
                                      "starting", v1::ERROR_REASON_STARTING)),
              Not(HasSubstr("--server")));
}

TEST(ErrorsTest, ExitCodesTellThemApart) {
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), 3);
  EXPECT_EQ(ExitCodeOf(absl::AbortedError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), 1);
}

}  // namespace
}  // namespace userprofile::command
