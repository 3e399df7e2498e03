#include "client/adapter/stdin.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/adapter/testing.h"
#include "tests/support/temp_dir.h"

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> SplitLines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

// Answers by the user's number: 1 is new, 2 returning, 3 onboarded, others
// fail.
void AnswerByNumber(v1::UpsertUserRequest contact,
                    client::Done<client::Recognition> done) {
  switch (contact.user_id()) {
    case 1:
      return done(client::Recognition::kNew);
    case 2:
      return done(client::Recognition::kReturning);
    case 3:
      return done(client::Recognition::kOnboarded);
    default:
      return done(absl::UnavailableError("not now"));
  }
}

struct Result {
  int exit_code;
  std::vector<std::string> output;
  std::string log;
};

Result RunOn(const std::string& input) {
  const InputFile file(input);
  StdinOptions options;
  options.input_fd = file.fd();
  StopEvent stop;
  std::ostringstream output, log;
  const int code = RunStdin(options, AnswerByNumber, stop, output, log);
  return {code, SplitLines(output.str()), log.str()};
}

TEST(StdinCommandTest, PrintsALinePerUpdate) {
  const Result result =
      RunOn(MessageOf(1, 11) + "\n" + MessageOf(2, 12) + "\n" +
            MessageOf(3, 13) + "\n" + R"({"update_id":14,"poll":{}})" + "\n");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(
      result.output,
      ElementsAre(R"({"update_id":11,"user_id":1,"recognized":"new"})",
                  R"({"update_id":12,"user_id":2,"recognized":"returning"})",
                  R"({"update_id":13,"user_id":3,"recognized":"onboarded"})",
                  R"({"update_id":14,"user_id":null,"recognized":"ignored"})"));
  EXPECT_EQ(result.log,
            "4 updates: 1 new, 1 returning, 1 onboarded, 1 ignored, 0 error\n");
}

TEST(StdinCommandTest, MalformedLinesStopNothing) {
  const std::string huge(10 * 1024 * 1024, '{');
  const Result result = RunOn("\n" + MessageOf(1, 11) + "\r\n \n\xff\xfe\n" +
                              huge + "\n[[[[\n" + MessageOf(2, 12));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(
      result.output,
      ElementsAre(HasSubstr(R"("update_id":11)"),
                  AllOf(HasSubstr("INVALID_JSON"), HasSubstr(R"("line":4)")),
                  AllOf(HasSubstr("LINE_TOO_LONG"), HasSubstr(R"("line":5)")),
                  AllOf(HasSubstr("INVALID_JSON"), HasSubstr(R"("line":6)")),
                  HasSubstr(R"("update_id":12)")));
}

TEST(StdinCommandTest, FailedCallIsAnErrorLineAndTheFirstIsSummarized) {
  const Result result = RunOn(MessageOf(1, 11) + "\n" + MessageOf(4, 12) +
                              "\n" + MessageOf(5, 13) + "\n");
  EXPECT_EQ(result.exit_code, 1);
  ASSERT_EQ(result.output.size(), 3u);
  EXPECT_EQ(result.output[1],
            R"({"update_id":12,"user_id":4,"recognized":"error",)"
            R"("code":"UNAVAILABLE","message":"not now","line":2})");
  EXPECT_EQ(result.log,
            "3 updates: 1 new, 0 returning, 0 onboarded, 0 ignored, 2 error\n"
            "the first error, in line 2: UNAVAILABLE (not now)\n");
}

TEST(StdinCommandTest, NothingItPrintsHoldsAName) {
  const Result result =
      RunOn(MessageOf(1, 11) + "\n" + MessageOf(4, 12) + "\nAda");
  EXPECT_THAT(absl::StrCat(result.log, result.output[0], result.output[1],
                           result.output[2]),
              Not(HasSubstr("Ada")));
}

TEST(StdinCommandTest, EmptyInputIsDone) {
  const Result result = RunOn("");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.log, StartsWith("0 updates:"));
}

// Keeps what was written and flushed, and lets a test wait for it.
class FlushedLines : public std::stringbuf {
 public:
  int sync() override {
    std::lock_guard<std::mutex> lock(mutex_);
    flushed_ = str();
    changed_.notify_all();
    return 0;
  }

  std::string flushed() {
    std::lock_guard<std::mutex> lock(mutex_);
    return flushed_;
  }

  void AwaitSubstring(const std::string& text) {
    std::unique_lock<std::mutex> lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return flushed_.find(text) != std::string::npos;
    })) << flushed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string flushed_;
};

// A run in a thread of its own, on a pipe.
class RunningStdinTest : public ::testing::Test {
 protected:
  RunningStdinTest() : output_(&lines_) {
    options_.input_fd = input_.fd();
    options_.in_flight = 4;
  }

  void Start() {
    result_ = std::async(std::launch::async, [this] {
      return RunStdin(options_, service_.recognizer(), stop_, output_, log_);
    });
  }

  InputPipe input_;
  HeldService service_;
  StopEvent stop_;
  StdinOptions options_;
  FlushedLines lines_;
  std::ostream output_;
  std::ostringstream log_;
  std::future<int> result_;
};

TEST_F(RunningStdinTest, ResultIsFlushedBeforeMoreInputComes) {
  Start();
  input_.Write(MessageOf(1, 11) + "\n");
  service_.Answer(1);
  lines_.AwaitSubstring(
      "{\"update_id\":11,\"user_id\":1,\"recognized\":\"returning\"}\n");
  input_.CloseWriter();
  EXPECT_EQ(result_.get(), 0);
}

TEST_F(RunningStdinTest, StopFinishesWhatWasReadAndFailsForTheRest) {
  Start();
  input_.Write(MessageOf(1, 11) + "\n" + MessageOf(2, 12) + "\n");
  service_.AwaitCalls(2);
  stop_.Set();
  service_.Answer(2);
  service_.Answer(1);
  EXPECT_EQ(result_.get(), 1);
  EXPECT_EQ(SplitLines(lines_.str()).size(), 2u);
  EXPECT_THAT(log_.str(), HasSubstr("stopped before the end of the input"));
}

TEST_F(RunningStdinTest, ReadsNoFurtherThanTheWindow) {
  Start();
  for (int i = 1; i <= 10; ++i) input_.Write(MessageOf(i, i) + "\n");
  input_.CloseWriter();
  service_.AwaitCalls(4);
  for (int i = 2; i <= 4; ++i) service_.Answer(i);
  EXPECT_EQ(service_.calls().size(), 4u);  // 1 is the oldest, and unanswered
  service_.Answer(1);
  for (int i = 5; i <= 10; ++i) service_.Answer(i);
  EXPECT_EQ(result_.get(), 0);
  EXPECT_EQ(SplitLines(lines_.str()).size(), 10u);
}

TEST_F(RunningStdinTest, FailingOutputEndsTheRunThoughInputGoesOn) {
  Start();
  input_.Write(MessageOf(1, 11) + "\n" + MessageOf(2, 12) + "\n");
  service_.AwaitCalls(2);
  output_.setstate(std::ios::badbit);
  service_.Answer(1);
  service_.Answer(2);
  EXPECT_EQ(result_.get(), 1);
  EXPECT_THAT(log_.str(), StartsWith("0 updates:"));
  EXPECT_THAT(log_.str(), HasSubstr("the output can't be written"));
}

// Runs on an input with a checkpoint, again and again.
class CheckpointRunTest : public ::testing::Test {
 protected:
  Result Run(const std::string& input) {
    const InputFile file(input);
    StdinOptions options;
    options.input_fd = file.fd();
    options.checkpoint = checkpoint_;
    options.output_fd = output_fd_;
    StopEvent stop;
    std::ostringstream output, log;
    const int code = RunStdin(options, AnswerByNumber, stop, output, log);
    return {code, SplitLines(output.str()), log.str()};
  }

  const userprofile::testing::TempDir directory_;
  const std::string checkpoint_ = directory_ / "checkpoint";
  int output_fd_ = -1;
};

TEST_F(CheckpointRunTest, GoesOnAfterTheLastLineDone) {
  std::string input = MessageOf(1, 11) + "\n\nno update\n";
  EXPECT_EQ(Run(input).output.size(), 2u);
  Result result = Run(input);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, ElementsAre());
  input += MessageOf(2, 12) + "\n";
  result = Run(input);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, ElementsAre(HasSubstr(R"("update_id":12)")));
}

TEST_F(CheckpointRunTest, StaysBeforeAnUpdateThatTheServiceCouldNotTake) {
  const std::string input =
      MessageOf(1, 11) + "\n" + MessageOf(4, 12) + "\n" + MessageOf(2, 13);
  Result result = Run(input);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.log, HasSubstr("the next run goes on after line 1\n"));
  result = Run(input);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output.front(), HasSubstr(R"("update_id":12)"));
}

TEST_F(CheckpointRunTest, RefusesAnotherInput) {
  EXPECT_EQ(Run(MessageOf(1, 11) + "\n" + MessageOf(2, 12)).exit_code, 0);
  for (const std::string& other :
       {MessageOf(1, 11), MessageOf(1, 11) + "\n" + MessageOf(2, 13)}) {
    const Result result = Run(other);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.output, ElementsAre());
    EXPECT_THAT(result.log, HasSubstr("another input"));
  }
}

TEST_F(CheckpointRunTest, StaysBeforeAnOutputThatDoesNotReachTheDisk) {
  output_fd_ = 1 << 20;  // no open file: can't be synced
  const Result result = Run(MessageOf(1, 11) + "\n");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.log, HasSubstr("the output can't be written"));
  EXPECT_THAT(result.log, Not(HasSubstr("goes on after")));
  EXPECT_NE(::access(checkpoint_.c_str(), F_OK), 0);
}

TEST_F(CheckpointRunTest, SaysThatTheCheckpointCantBeWritten) {
  ASSERT_EQ(::mkdir((checkpoint_ + ".part").c_str(), 0700), 0);
  const Result result = Run(MessageOf(1, 11));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.log, HasSubstr("can't write"));
}

TEST(StdinCommandTest, ShowsHowItGoesOnATerminal) {
  InputPipe input;
  StdinOptions options;
  options.input_fd = input.fd();
  options.progress = true;
  StopEvent stop;
  std::ostringstream output;
  FlushedLines lines;
  std::ostream log(&lines);
  HeldService service;
  auto running = std::async(std::launch::async, [&] {
    return RunStdin(options, service.recognizer(), stop, output, log);
  });
  // One more at a time, until a second has passed.
  for (int i = 1; lines.flushed().find(" a second") == std::string::npos; ++i) {
    ASSERT_LT(i, 10 * 1000 * 1000);
    input.Write(MessageOf(i, i) + "\n");
    service.Answer(i);
  }
  input.CloseWriter();
  EXPECT_EQ(running.get(), 0);
  EXPECT_THAT(lines.str(), HasSubstr("\r"));
  EXPECT_THAT(lines.str(), HasSubstr(" updates, "));
}

}  // namespace
}  // namespace userprofile::adapter
