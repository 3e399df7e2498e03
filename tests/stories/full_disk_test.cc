// The disk of the embedded database is full: a file system of its own, which
// takes root to mount.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class Disk {
 public:
  Disk() {
    mkdir(path().c_str(), 0755);
    mounted_ = mount("none", path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                     "size=160m,mode=0755") == 0;
  }
  ~Disk() { umount2(path().c_str(), MNT_DETACH); }

  bool mounted() const { return mounted_; }
  std::string path() const { return folder_ / "disk"; }

  // Takes all that is free, and gives it back.
  void Fill() const {
    const int fd = open(filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    for (std::string piece(1 << 20, 'x'); !piece.empty();) {
      if (write(fd, piece.data(), piece.size()) <= 0) {
        piece.resize(piece.size() / 2);
      }
    }
    close(fd);
  }
  void Free() const { EXPECT_EQ(unlink(filler().c_str()), 0); }

 private:
  std::string filler() const { return absl::StrCat(path(), "/filler"); }

  TempDir folder_;
  bool mounted_ = false;
};

class FullDiskTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!disk_.mounted()) {
      GTEST_SKIP() << "NOT TESTED: a full disk, for that takes root and mount";
    }
    server_.StartReady();
    stub_ = server_.NewStub();
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(StoreNext().ok());
  }

  // A contact of somebody who was never there.
  grpc::Status StoreNext() {
    const std::int64_t user = next_++;
    v1::UpsertUserResponse response;
    grpc::Status status = Upsert(*stub_, user, &response);
    if (status.ok()) acknowledged_.push_back(user);
    return status;
  }

  // Lets PostgreSQL need a new file of its log, without which it can't go on.
  void EndPostgres() const {
    std::ifstream mark(disk_.path() + "/db/data/postmaster.pid");
    std::string sockets;
    for (int line = 0; line < 5; ++line) std::getline(mark, sockets);
    const std::vector<std::string> psql = {
        "/usr/bin/psql",
        "-X",
        "-q",
        "-c",
        "SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()",
        absl::StrCat("host=", sockets, " user=userprofile dbname=userprofile")};
    constexpr int kConnectionLost = 2;
    EXPECT_TRUE(Eventually(
        [&] { return RunProgram({psql}).exit_code == kConnectionLost; }));
  }

  Disk disk_;
  // Not all the time that a caller has, so that each gets to know why.
  ServerProgram server_{absl::StrCat("embedded:", disk_.path(), "/db"),
                        {"--max-timeout", "1s"}};
  std::unique_ptr<Stub> stub_;
  std::int64_t next_ = 1;
  std::vector<std::int64_t> acknowledged_;
};

TEST_P(FullDiskTest, IsSaidInWordsAndLosesNothing) {
  disk_.Fill();
  const bool ended = GetParam();
  if (ended) EndPostgres();
  ServerProgram::Page page;
  EXPECT_TRUE(Eventually([&] {
    const grpc::Status status = StoreNext();
    EXPECT_THAT(ReasonOf(status), AnyOf("", "DATABASE_UNAVAILABLE"))
        << status.error_message();
    page = server_.Get("/readyz");
    return page.code == 503;
  }));
  EXPECT_THAT(page.body,
              HasSubstr(ended ? "DATABASE_UNAVAILABLE" : "SQLSTATE 53100"));
  // Who is known stays so.
  v1::GetProfileResponse found;
  const grpc::StatusCode code = Get(*stub_, 1, &found).error_code();
  EXPECT_EQ(code, ended ? grpc::StatusCode::UNAVAILABLE : grpc::StatusCode::OK);

  disk_.Free();
  server_.AwaitReady();
  EXPECT_TRUE(StoreNext().ok());
  for (const std::int64_t user : acknowledged_) {
    v1::UpsertUserResponse again;
    const grpc::Status status = Upsert(*stub_, user, &again);
    EXPECT_TRUE(status.ok()) << user << " " << status.error_message();
    EXPECT_FALSE(again.created()) << user;
  }
}

INSTANTIATE_TEST_SUITE_P(Postgres, FullDiskTest, ::testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "Ends" : "GoesOn";
                         });

}  // namespace
}  // namespace userprofile::testing
