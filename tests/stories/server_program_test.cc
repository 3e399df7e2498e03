// The server program as people, other programs and Kubernetes meet it.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using HealthResponse = grpc::health::v1::HealthCheckResponse;

std::string Embedded(const TempDir& directory) {
  return absl::StrCat("embedded:", directory / "database");
}

TEST(ServerProgramTest, SaysItsVersion) {
  const Outcome text = RunProgram({{"userprofile-server", "version"}});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.output, HasSubstr("userprofile-server 0."));
  const Outcome json =
      RunProgram({{"userprofile-server", "version", "--output", "json"}});
  EXPECT_EQ(json.exit_code, 0) << json.errors;
  EXPECT_TRUE(nlohmann::json::parse(json.output).contains("version"));
}

TEST(ServerProgramTest, IsAskedForItsHealth) {
  TempDir directory;
  ServerProgram server(Embedded(directory));
  const auto check = [&] {
    return RunProgram(
        {.words = {"userprofile-server", "healthcheck"},
         .environment = {{"USERPROFILE_LISTEN", server.address()}}});
  };
  EXPECT_EQ(check().exit_code, 1);
  server.StartReady();
  const Outcome serving = check();
  EXPECT_EQ(serving.exit_code, 0) << serving.errors;
  server.program().Kill();
  const Outcome gone = check();
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_THAT(gone.errors, HasSubstr("no answer from " + server.address()));
}

TEST(ServerProgramTest, PrintsItsSql) {
  const Outcome printed = RunProgram({{"userprofile-server", "schema", "sql"}});
  EXPECT_EQ(printed.exit_code, 0);
  EXPECT_THAT(printed.output, StartsWith("-- get_profiles\nSELECT "));
}

TEST(ServerProgramTest, ExplainsWrongUsage) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{
           {"userprofile-server"},
           {"userprofile-server", "nonsense"},
           {"userprofile-server", "serve", "--nonsense"},
           {"userprofile-server", "serve", "--max-timeout", "soon"},
           {"userprofile-server", "serve", "--max-timeout", "-1s"},
           {"userprofile-server", "serve", "--max-batch", "0"},
           {"userprofile-server", "serve", "--max-batch",
            "9223372036854775808"},
           {"userprofile-server", "serve", "--read-connections", "0x0"},
           {"userprofile-server", "serve", "--read-connections", "-0x1"},
           {"userprofile-server", "serve", "--contact-interval", "-1s"},
           {"userprofile-server", "serve", "--contact-interval", "25h"},
           {"userprofile-server", "serve", "--log-format", "xml"},
           {"userprofile-server", "serve", "--database", "nonsense"},
           {"userprofile-server", "serve", "--database", "embedded:"},
           {"userprofile-server", "serve", "--database-file", "/nowhere"},
           {"userprofile-server", "schema", "check", "--database", "host=/x",
            "--database-file", "/nowhere"},
           {"userprofile-server", "schema", "check", "--output", "xml"},
           {"userprofile-server", "migrate"}}) {
    const Outcome outcome = RunProgram({words});
    EXPECT_EQ(outcome.exit_code, 2) << words.back();
    EXPECT_THAT(outcome.errors, Not(IsEmpty())) << words.back();
  }
}

TEST(ServerProgramTest, DoesNotListenBeyondLoopbackUnlessToldAloud) {
  for (const char* flag : {"--listen", "--admin-listen"}) {
    const Outcome outcome =
        RunProgram({{"userprofile-server", "serve", flag, "0.0.0.0:0"}});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.errors, HasSubstr("--insecure"));
  }
}

TEST(ServerProgramTest, TakesFlagsFromTheEnvironmentAndFromAFile) {
  TempDir directory;
  const std::string file = directory / "config.toml";
  std::ofstream(file) << "listen = \"0.0.0.0:1\"\n"
                         "max-batch = 7\n";
  // Each is known to be read by what it is refused for.
  Outcome outcome =
      RunProgram({{"userprofile-server", "serve", "--config", file}});
  EXPECT_THAT(outcome.errors, HasSubstr("0.0.0.0:1"));
  outcome = RunProgram({{"userprofile-server", "serve", "--config", file},
                        {{"USERPROFILE_LISTEN", "0.0.0.0:2"}}});
  EXPECT_THAT(outcome.errors, HasSubstr("0.0.0.0:2"));
  outcome = RunProgram({{"userprofile-server", "serve", "--config", file,
                         "--listen", "0.0.0.0:3"},
                        {{"USERPROFILE_LISTEN", "0.0.0.0:2"}}});
  EXPECT_THAT(outcome.errors, HasSubstr("0.0.0.0:3"));
  outcome = RunProgram({{"userprofile-server", "serve", "--config", file},
                        {{"USERPROFILE_LISTEN", ""}}});
  EXPECT_THAT(outcome.errors, HasSubstr("0.0.0.0:1"));

  std::ofstream(file) << "lisen = \"0.0.0.0:1\"\n";
  outcome = RunProgram({{"userprofile-server", "serve", "--config", file}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("lisen"));
}

TEST(ServerProgramTest, KeepsThePasswordOfADatabaseToItself) {
  TempDir directory;
  const std::string file = directory / "database";
  std::ofstream(file)
      << "postgresql://bot:hush-hush@127.0.0.1:1/nowhere?connect_timeout=2\n";
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"schema", "check"},
                                             {"migrate", "status"}}) {
    Program::Options options;
    options.words = {"userprofile-server"};
    options.words.insert(options.words.end(), command.begin(), command.end());
    options.words.insert(options.words.end(), {"--database-file", file});
    const Outcome outcome = RunProgram(std::move(options));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.errors, Not(IsEmpty()));
    EXPECT_THAT(outcome.errors, Not(HasSubstr("hush-hush")));
  }
}

TEST(ServerProgramTest, StopsAtOnceWhileItIsStarting) {
  TempDir directory;
  Program server({{"userprofile-server", "serve",
                   absl::StrCat("--database=", Embedded(directory)), "--listen",
                   "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}});
  // Before that, it makes its database, which takes a while.
  ASSERT_TRUE(Eventually([&] {
    return std::filesystem::exists(directory / "database/data.new");
  }));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(absl::Seconds(10)), 0);
  EXPECT_THAT(server.errors(), HasSubstr("while starting"));
  EXPECT_FALSE(std::filesystem::exists(directory / "database/data"));

  ServerProgram next(Embedded(directory));
  next.StartReady();
}

TEST(ServerProgramTest, SharesItsEmbeddedDatabaseWithCommandsOnly) {
  TempDir directory;
  ServerProgram server(Embedded(directory));
  server.StartReady();
  const std::string flag = absl::StrCat("--database=", Embedded(directory));
  EXPECT_EQ(
      RunProgram({{"userprofile-server", "schema", "check", flag}}).exit_code,
      0);
  const Outcome status = RunProgram(
      {{"userprofile-server", "migrate", "status", flag, "--output", "json"}});
  EXPECT_EQ(status.exit_code, 0) << status.errors;
  const auto migrations = nlohmann::json::parse(status.output)["migrations"];
  EXPECT_FALSE(migrations.empty());
  for (const auto& migration : migrations) {
    EXPECT_EQ(migration["state"], "applied") << migration;
  }

  const Outcome second =
      RunProgram({{"userprofile-server", "serve", flag, "--listen",
                   "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.errors, HasSubstr("in use by another"));
  EXPECT_EQ(server.Get("/readyz").code, 200);
}

TEST(ServerProgramTest, ListensWhereNobodyElseDoes) {
  TempDir directory;
  ServerProgram first(Embedded(directory));
  first.StartReady();
  v1::UpsertUserResponse response;
  ASSERT_TRUE(Upsert(*first.NewStub(), 1, &response).ok());

  // Another database would make everybody new.
  const auto second = [&](const std::string& listen, const std::string& admin) {
    return RunProgram({{"userprofile-server", "serve",
                        "--database=embedded:" + (directory / "other"),
                        "--listen", listen, "--admin-listen", admin}});
  };
  const std::string socket = first.address().substr(sizeof("unix:") - 1);
  for (const std::string& address :
       {first.address(), absl::StrCat("unix://", socket)}) {
    const Outcome outcome = second(address, "127.0.0.1:0");
    EXPECT_EQ(outcome.exit_code, 1) << outcome.errors;
    EXPECT_THAT(outcome.errors, HasSubstr("another process serves there"));
  }
  const Outcome outcome = second("127.0.0.1:0", first.admin_address());
  EXPECT_EQ(outcome.exit_code, 1) << outcome.errors;
  EXPECT_THAT(outcome.errors, HasSubstr(first.admin_address()));
  ASSERT_TRUE(Upsert(*first.NewStub(), 1, &response).ok());
  EXPECT_FALSE(response.created());

  // What a killed one left is in nobody's way; what ended leaves nothing.
  first.program().Kill();
  EXPECT_TRUE(std::filesystem::exists(socket));
  first.StartReady();
  ASSERT_TRUE(Upsert(*first.NewStub(), 1, &response).ok());
  EXPECT_FALSE(response.created());
  first.program().Signal(SIGTERM);
  EXPECT_EQ(first.program().Wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(socket));
  EXPECT_FALSE(std::filesystem::exists(socket + ".lock"));
}

TEST(ServerProgramTest, ServesOnWhenItsPostgresIsToldToStop) {
  TempDir directory;
  ServerProgram server(Embedded(directory));
  server.StartReady();
  const auto stub = server.NewStub();
  v1::UpsertUserResponse response;
  ASSERT_TRUE(Upsert(*stub, 1, &response).ok());
  int pid = 0;
  std::ifstream(directory / "database/data/postmaster.pid") >> pid;
  ASSERT_GT(pid, 1);
  ASSERT_EQ(kill(pid, SIGTERM), 0);
  // A lane that had no connection yet gets one.
  EXPECT_TRUE(Eventually([&] {
    grpc::ClientContext context;
    v1::CompleteOnboardingRequest request;
    request.set_user_id(1);
    request.mutable_answers()->set_real_name("Ali");
    request.mutable_answers()->set_nickname("ali");
    v1::CompleteOnboardingResponse answer;
    return stub->CompleteOnboarding(&context, request, &answer).ok();
  })) << server.program().errors();
  ASSERT_TRUE(Upsert(*stub, 1, &response).ok());
  EXPECT_FALSE(response.created());
}

TEST(ServerProgramTest, GivesThirtyTwoConcurrentFirstContactsOneCreation) {
  TempDir directory;
  ServerProgram server(Embedded(directory));
  server.StartReady();
  constexpr int kCalls = 32;
  std::vector<v1::UpsertUserResponse> responses(kCalls);
  std::vector<grpc::Status> statuses(kCalls);
  const auto stub = server.NewStub();
  std::vector<std::thread> callers;
  for (int i = 0; i < kCalls; ++i) {
    callers.emplace_back(
        [&, i] { statuses[i] = Upsert(*stub, 12345, &responses[i]); });
  }
  for (std::thread& caller : callers) caller.join();
  int created = 0;
  std::set<std::int64_t> revisions;
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_TRUE(statuses[i].ok()) << statuses[i].error_message();
    created += responses[i].created() ? 1 : 0;
    revisions.insert(responses[i].profile().revision());
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(revisions.size(), 32u);
  EXPECT_EQ(*revisions.begin(), 1);
  EXPECT_EQ(*revisions.rbegin(), 32);
}

TEST(ServerProgramTest, WritesContactsThatChangeNothingOnceInAnInterval) {
  TempDir directory;
  ServerProgram server(Embedded(directory), {"--contact-interval", "1h"});
  server.StartReady();
  const auto stub = server.NewStub();
  v1::UpsertUserResponse response;
  std::vector<std::int64_t> revisions;
  for (int i = 0; i < 4; ++i) {
    const grpc::Status status = Upsert(*stub, 12345, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.created(), i == 0);
    revisions.push_back(response.profile().revision());
  }
  EXPECT_THAT(revisions, ElementsAre(1, 2, 2, 2));
}

TEST(ServerProgramTest, FinishesWhatIsInFlightOnSigterm) {
  TempDir directory;
  ServerProgram server(Embedded(directory));
  server.StartReady();
  std::vector<std::unique_ptr<Stub>> stubs;
  v1::UpsertUserResponse response;
  for (std::int64_t user = 1; user <= 10; ++user) {
    ASSERT_TRUE(Upsert(*server.NewStub(), user, &response).ok());
  }
  for (int i = 0; i < 8; ++i) stubs.push_back(server.NewStub());
  Load load(std::move(stubs), 10);
  ASSERT_TRUE(Eventually([&] { return load.ok() > 500; }));

  // Somebody watches its health to the end.
  const auto channel =
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials());
  const auto health = grpc::health::v1::Health::NewStub(channel);
  grpc::ClientContext context;
  const auto watch = health->Watch(&context, {});
  HealthResponse state;
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), HealthResponse::SERVING);

  server.program().Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), HealthResponse::NOT_SERVING);
  EXPECT_EQ(server.program().Wait(), 0) << server.program().errors();
  context.TryCancel();

  // What was acknowledged is there, and what was not says so.
  server.StartReady();
  const int served = load.ok();
  EXPECT_TRUE(Eventually([&] { return load.ok() > served + 100; }));
  const Load::Tally tally = load.Stop();
  EXPECT_EQ(tally.created, 0);
  EXPECT_EQ(tally.not_found, 0);
}

TEST(ServerProgramTest, StreamsThatAreLeftOpenDoNotHoldItUp) {
  TempDir directory;
  ServerProgram server(Embedded(directory), {"--drain-timeout", "600s"});
  server.StartReady();
  const auto channel =
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  const auto stub =
      grpc::reflection::v1alpha::ServerReflection::NewStub(channel);
  const auto stream = stub->ServerReflectionInfo(&context);
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");
  grpc::reflection::v1alpha::ServerReflectionResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  // Whoever waits for nothing takes seconds to see that the server says
  // goodbye.
  std::thread reader([&] { EXPECT_FALSE(stream->Read(&response)); });
  server.program().Signal(SIGTERM);
  EXPECT_EQ(server.program().Wait(), 0);
  reader.join();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(ServerProgramTest, StopsAtOnceOnASecondSignal) {
  TempDir directory;
  ServerProgram server(Embedded(directory), {"--drain-timeout", "600s"});
  server.StartReady();
  // A client that connects and says nothing does not matter; one that watches
  // is told to go. So keep it busy with calls.
  std::vector<std::unique_ptr<Stub>> stubs;
  v1::UpsertUserResponse response;
  ASSERT_TRUE(Upsert(*server.NewStub(), 1, &response).ok());
  for (int i = 0; i < 4; ++i) stubs.push_back(server.NewStub());
  Load load(std::move(stubs), 1);
  ASSERT_TRUE(Eventually([&] { return load.ok() > 100; }));
  server.program().Signal(SIGTERM);
  server.program().Signal(SIGINT);
  const int exit_code = server.program().Wait();
  EXPECT_TRUE(exit_code == 0 || exit_code == 1) << exit_code;

  // Nothing is in the way of the next start.
  server.StartReady();
  EXPECT_TRUE(Upsert(*server.NewStub(), 1, &response).ok());
  EXPECT_FALSE(response.created());
}

TEST(ServerProgramTest, LogsJsonWithoutAnybodysData) {
  TempDir directory;
  ServerProgram server(Embedded(directory),
                       {"--log-format", "json", "--log-level", "debug"});
  server.StartReady();
  const auto stub = server.NewStub();
  for (const bool valid : {true, false}) {
    grpc::ClientContext context;
    v1::UpsertUserRequest request;
    request.set_user_id(valid ? 1 : -1);
    request.mutable_identity()->set_first_name("Marked-First");
    request.mutable_identity()->set_username("marked_username");
    v1::UpsertUserResponse response;
    EXPECT_EQ(stub->UpsertUser(&context, request, &response).ok(), valid);
  }
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    v1::CompleteOnboardingRequest request;
    request.set_user_id(i == 2 ? 2 : 1);
    request.mutable_answers()->set_real_name(absl::StrCat("Marked-Real", i));
    request.mutable_answers()->set_nickname("marked-nickname");
    request.mutable_answers()->set_phone("+98 912 345 6789");
    v1::CompleteOnboardingResponse response;
    EXPECT_EQ(stub->CompleteOnboarding(&context, request, &response).ok(),
              i == 0);
  }
  server.program().Signal(SIGTERM);
  EXPECT_EQ(server.program().Wait(), 0);
  const std::string log = server.program().errors();
  std::ifstream postgres_log(directory / "database/postgres.log");
  const std::string all = absl::StrCat(
      log, server.program().output(),
      std::string(std::istreambuf_iterator<char>(postgres_log), {}));
  for (const char* mark : {"Marked", "marked", "345 6789", "3456789"}) {
    EXPECT_THAT(all, Not(HasSubstr(mark)));
  }
  for (const absl::string_view line :
       absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(std::string(line))) << line;
  }
}

TEST(ServerProgramTest, CountsWhatItDoes) {
  TempDir directory;
  ServerProgram server(Embedded(directory));
  server.StartReady();
  v1::UpsertUserResponse response;
  ASSERT_TRUE(Upsert(*server.NewStub(), 1, &response).ok());
  const std::string metrics = server.Get("/metrics").body;
  for (const char* name :
       {"userprofile_rpc_requests_total", "userprofile_rpc_duration_seconds",
        "userprofile_lane_batch_size", "userprofile_lane_queue_wait_seconds",
        "userprofile_lane_statement_duration_seconds", "userprofile_ready 1"}) {
    EXPECT_THAT(metrics, HasSubstr(name));
  }
}

}  // namespace
}  // namespace userprofile::testing
