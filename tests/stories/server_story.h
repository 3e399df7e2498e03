#ifndef USERPROFILE_TESTS_STORIES_SERVER_STORY_H_
#define USERPROFILE_TESTS_STORIES_SERVER_STORY_H_

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// Tests that share one server on an embedded database, started before the first
// of a suite: each takes users of its own.
class ServerStory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDir;
    server_ =
        new ServerProgram(absl::StrCat("embedded:", *directory_ / "database"));
    server_->StartReady();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete directory_;
  }

  // Of the suite; also a place for the tests' own files.
  inline static TempDir* directory_ = nullptr;
  inline static ServerProgram* server_ = nullptr;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_STORIES_SERVER_STORY_H_
