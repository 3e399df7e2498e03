// Nothing of a user, and no secret, is in what the programs write for those who
// run them: every path is driven with marked values, and all output is searched
// for the marks.

#include <grpcpp/generic/generic_stub.h>

#include <csignal>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/bot_api.h"
#include "tests/support/free_port.h"
#include "tests/support/http_client.h"
#include "tests/support/http_server.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Every marked value holds one of these.
constexpr char kMark[] = "Mark";
constexpr char kPhone[] = "+98 912 345 6789";
const char* const kMarks[] = {"Mark", "mark", "345 6789", "3456789"};

class PrivacyTest : public ::testing::Test {
 protected:
  PrivacyTest() {
    server_.StartReady();
    stub_ = server_.NewStub();
  }

  // With metadata that is marked too. The status' "CODE REASON".
  template <typename Method, typename Request>
  std::string Call(
      Method method, const Request& request,
      std::chrono::milliseconds deadline = std::chrono::milliseconds(20000)) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    context.AddMetadata("authorization", "Bearer Mark-token");
    context.AddMetadata("traceparent", "00-Mark");
    context.AddMetadata("x-mark", "Mark");
    return InWords(method(*stub_, &context, request));
  }

  static std::string InWords(const grpc::Status& status) {
    if (status.ok()) return "OK";
    return absl::StrCat(static_cast<int>(status.error_code()), " ",
                        ReasonOf(status));
  }

  std::string UpsertUser(
      std::int64_t user, const std::string& name = kMark,
      std::chrono::milliseconds deadline = std::chrono::milliseconds(20000)) {
    v1::UpsertUserRequest request;
    request.set_user_id(user);
    request.mutable_identity()->set_first_name(name);
    request.mutable_identity()->set_last_name("Mark-last");
    request.mutable_identity()->set_username("mark_username");
    request.mutable_identity()->set_language_code("fa-x-mark");
    return Call(
        [](Stub& stub, grpc::ClientContext* context, const auto& q) {
          v1::UpsertUserResponse response;
          return stub.UpsertUser(context, q, &response);
        },
        request, deadline);
  }

  std::string GetProfile(std::int64_t user) {
    v1::GetProfileRequest request;
    request.set_user_id(user);
    return Call(
        [](Stub& stub, grpc::ClientContext* context, const auto& q) {
          v1::GetProfileResponse response;
          return stub.GetProfile(context, q, &response);
        },
        request);
  }

  std::string CompleteOnboarding(std::int64_t user, const std::string& name,
                                 const std::string& phone = kPhone) {
    v1::CompleteOnboardingRequest request;
    request.set_user_id(user);
    request.mutable_answers()->set_real_name(name);
    request.mutable_answers()->set_nickname("Mark-nickname");
    request.mutable_answers()->set_study_track("Mark-track");
    request.mutable_answers()->set_phone(phone);
    return Call(
        [](Stub& stub, grpc::ClientContext* context, const auto& q) {
          v1::CompleteOnboardingResponse response;
          return stub.CompleteOnboarding(context, q, &response);
        },
        request);
  }

  std::string ListProfiles(const std::string& prefix, const std::string& token,
                           const std::string& path) {
    v1::ListProfilesRequest request;
    request.mutable_filter()->set_nickname_prefix(prefix);
    request.set_page_token(token);
    request.mutable_read_mask()->add_paths(path);
    return Call(
        [](Stub& stub, grpc::ClientContext* context, const auto& q) {
          v1::ListProfilesResponse response;
          return stub.ListProfiles(context, q, &response);
        },
        request);
  }

  // Sends these very bytes as a request.
  std::string Send(const std::string& bytes) {
    grpc::GenericStub stub(grpc::CreateChannel(
        server_.address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer answer;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, "/userprofile.v1.UserProfileService/UpsertUser",
                   {}, &request, &answer,
                   [&](grpc::Status status) { done.set_value(status); });
    return InWords(done.get_future().get());
  }

  // Takes the pages of an admin port into what is searched.
  void Keep(const std::string& address) {
    for (const char* path :
         {"/", "/livez", "/readyz", "/metrics", "/status.json", "/Mark?Mark"}) {
      const HttpAnswer answer = HttpClient(address).Get(path);
      if (answer && answer.status != 404) {
        written_[absl::StrCat(address, path)] += answer.body;
      }
    }
  }

  void ExpectNoMarks() const {
    for (const auto& [what, text] : written_) {
      for (const char* mark : kMarks) {
        const std::size_t at = text.find(mark);
        EXPECT_EQ(at, std::string::npos)
            << what << " holds " << mark << ": "
            << text.substr(at < 300 ? 0 : at - 300, 600);
      }
    }
  }

  // PostgreSQL's own log, which is the service's where it is embedded.
  std::string LogOfDatabase() {
    const std::string data(database_.Execute("SHOW data_directory").Text(0, 0));
    std::ifstream file(data + "/../postgres.log");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  TestDatabase database_;
  ServerProgram server_{
      database_.conninfo(),
      {"--migrate", "--log-level", "debug", "--slow-request", "1ms"}};
  std::unique_ptr<Stub> stub_;
  std::map<std::string, std::string> written_;
};

TEST_F(PrivacyTest, TheServerKeepsWhatItIsToldToItself) {
  // What goes well.
  EXPECT_EQ(UpsertUser(1), "OK");
  EXPECT_EQ(UpsertUser(2), "OK");
  EXPECT_EQ(GetProfile(1), "OK");
  EXPECT_EQ(CompleteOnboarding(1, "Mark-real"), "OK");
  EXPECT_EQ(ListProfiles("Mark-nick", "", "phone"), "OK");

  // What is part of the trade.
  EXPECT_EQ(GetProfile(99), "5 USER_NOT_FOUND");
  EXPECT_EQ(CompleteOnboarding(99, "Mark-real"), "5 USER_NOT_FOUND");
  EXPECT_EQ(CompleteOnboarding(2, "Mark-real"), "6 NICKNAME_TAKEN");
  EXPECT_EQ(CompleteOnboarding(1, "Mark-other"), "9 ALREADY_ONBOARDED");

  // What is wrong with requests: limits, control characters, phone numbers,
  // text that is not UTF-8, bytes that are no message.
  EXPECT_EQ(UpsertUser(0), "3 INVALID_FIELDS");
  EXPECT_EQ(UpsertUser(3, absl::StrCat("Mark", std::string(1000, 'x'))),
            "3 INVALID_FIELDS");
  EXPECT_EQ(UpsertUser(3, "Mark\x1b[31m"), "3 INVALID_FIELDS");
  EXPECT_EQ(CompleteOnboarding(2, "Mark-real", "+98 Mark 345 6789"),
            "3 INVALID_FIELDS");
  EXPECT_EQ(ListProfiles("Mark\x01", "", "phone"), "3 INVALID_FIELDS");
  EXPECT_EQ(ListProfiles("Mark", "Mark-token", "phone"), "3 INVALID_FIELDS");
  EXPECT_EQ(ListProfiles("Mark", "", "Mark-path"), "3 INVALID_FIELDS");
  EXPECT_EQ(Send("\x08\x03\x12\x07\x0a\x05Mark\xff"), "3 MALFORMED_REQUEST");
  EXPECT_EQ(Send("Mark, and no message"), "3 MALFORMED_REQUEST");
  EXPECT_EQ(Send(absl::StrCat("\x0a", std::string(100000, 'M'), "Mark")), "8 ");

  // What the database refuses: a constraint, a unique index and a trigger of
  // others, a value that is too long for a column that somebody narrowed.
  database_.Execute(
      "ALTER TABLE users ADD CONSTRAINT c CHECK (first_name <> 'Mark-check')");
  EXPECT_EQ(UpsertUser(3, "Mark-check"), "13 ROW_REJECTED");
  EXPECT_EQ(UpsertUser(3, "Mark-unique"), "OK");
  database_.Execute("UPDATE users SET first_name = 'Mark' || user_id");
  database_.Execute("CREATE UNIQUE INDEX i ON users (first_name)");
  EXPECT_EQ(UpsertUser(4, "Mark1"), "13 ROW_REJECTED");
  database_.Execute("DROP INDEX i");
  // The monitor may notice the trigger first.
  database_.Execute(
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN RAISE EXCEPTION ''no %'', NEW.first_name; END'");
  database_.Execute(
      "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE "
      "FUNCTION f()");
  EXPECT_THAT(UpsertUser(5), AnyOf("13 ROW_REJECTED", "14 SCHEMA_NOT_READY"));
  database_.Execute("DROP TRIGGER t ON users");
  server_.AwaitReady();

  // A schema that breaks under it, and a database that goes away.
  database_.Execute("ALTER TABLE users RENAME COLUMN first_name TO mark_first");
  EXPECT_EQ(UpsertUser(1), "14 SCHEMA_NOT_READY");
  database_.Execute("ALTER TABLE users RENAME COLUMN mark_first TO first_name");
  server_.AwaitReady();
  const std::string log_of_database = LogOfDatabase();
  database_.StopServer();
  EXPECT_THAT(UpsertUser(1, kMark, std::chrono::milliseconds(300)),
              AnyOf("14 DATABASE_UNAVAILABLE", "4 DEADLINE_EXCEEDED"));
  server_.AwaitNotReady("DATABASE_UNAVAILABLE");
  Keep(server_.admin_address());
  database_.StartServer();
  server_.AwaitReady();

  Keep(server_.admin_address());
  server_.program().Signal(SIGTERM);
  EXPECT_EQ(server_.program().Wait(), 0);
  written_["the server's log"] = server_.program().errors();
  written_["the server's output"] = server_.program().output();
  written_["the database's log"] = log_of_database;
  for (const char* reason :
       {"INVALID_FIELDS", "MALFORMED_REQUEST", "NICKNAME_TAKEN",
        "ALREADY_ONBOARDED", "ROW_REJECTED", "SCHEMA_NOT_READY",
        "a call was slow", "SQLSTATE 23514", "SQLSTATE 23505"}) {
    EXPECT_THAT(written_["the server's log"], HasSubstr(reason));
  }
  ExpectNoMarks();
}

TEST_F(PrivacyTest, TokensOfCallersAreNowhere) {
  const TempDir directory;
  const std::string callers = directory / "callers.json";
  std::ofstream(callers) << R"({"callers": [{"name": "known", "roles": ["bot"],
      "token_sha256": [")"
                         << std::string(64, 'a') << "\"]}]}";
  ServerProgram server(database_.conninfo(),
                       {"--callers", callers, "--log-level", "debug"});
  server.StartReady();
  stub_ = server.NewStub();
  EXPECT_EQ(UpsertUser(1), "16 UNKNOWN_TOKEN");
  Keep(server.admin_address());
  server.program().Signal(SIGTERM);
  EXPECT_EQ(server.program().Wait(), 0);
  written_["the server's log"] = server.program().errors();
  EXPECT_THAT(written_["the server's log"], HasSubstr("UNKNOWN_TOKEN"));
  ExpectNoMarks();
}

// A bot that answers with this status.
class StubbornBot {
 public:
  explicit StubbornBot(int status)
      : server_([status](const HttpRequest&) {
          return HttpResponse{status, "Mark-answer"};
        }) {}

  std::string url() const {
    return absl::StrCat("http://", server_.address(), "/");
  }

 private:
  HttpServer server_;
};

// A user's message, with marks in all that is told of the user.
std::string MarkedUpdate(std::int64_t user) {
  const json from = {{"id", user},
                     {"is_bot", false},
                     {"first_name", "Mark"},
                     {"last_name", "Mark-last"},
                     {"username", "mark_username"}};
  return json({{"update_id", user},
               {"message",
                {{"message_id", 1},
                 {"date", 1760000000},
                 {"chat", {{"id", user}, {"type", "private"}}},
                 {"from", from},
                 {"contact", {{"phone_number", kPhone}}},
                 {"text", "Mark-text"}}}})
      .dump();
}

TEST_F(PrivacyTest, TheWebhookKeepsWhatItIsToldToItself) {
  const int port = FreePort();
  const std::string listen = absl::StrCat("127.0.0.1:", port);
  const std::string admin = absl::StrCat("127.0.0.1:", FreePort());
  // A bot that is well, one that fails, and none at all.
  for (const int status : {200, 500, 503, 0}) {
    std::unique_ptr<StubbornBot> bot;
    if (status != 0) bot = std::make_unique<StubbornBot>(status);
    Program adapter(
        {{"userprofile-adapter", "webhook", "--server", server_.address(),
          "--forward-to", bot ? bot->url() : "http://127.0.0.1:1/", "--listen",
          listen, "--api-listen", "127.0.0.1:0", "--admin-listen", admin,
          "--log-level", "debug"},
         {{"USERPROFILE_WEBHOOK_SECRET", "Mark-secret"}}});
    ASSERT_TRUE(Eventually([&] {
      return HttpClient(admin).Get("/readyz") &&
             absl::StrContains(adapter.errors(), "taking updates");
    })) << adapter.errors();
    for (const char* secret : {"Mark-secret", "Mark-wrong", ""}) {
      for (const std::string& body :
           {MarkedUpdate(1), std::string("Mark, not JSON"),
            std::string("{\"update_id\": 1, \"Mark\": \"\xff\"}")}) {
        EXPECT_TRUE(HttpClient(listen).Post(
            "/Mark-path", body, {{"X-Telegram-Bot-Api-Secret-Token", secret}}));
      }
    }
    Keep(admin);
    adapter.Signal(SIGTERM);
    EXPECT_EQ(adapter.Wait(), 0);
    written_[absl::StrCat("the log before a bot of ", status)] =
        adapter.errors() + adapter.output();
  }
  EXPECT_THAT(written_["the log before a bot of 0"], HasSubstr("trying again"));
  ExpectNoMarks();
}

TEST_F(PrivacyTest, PollingKeepsTheBotsTokenToItself) {
  BotApi api;
  const std::string admin = absl::StrCat("127.0.0.1:", FreePort());
  const StubbornBot bot(500);
  Program adapter({{"userprofile-adapter", "poll", "--server",
                    server_.address(), "--forward-to", bot.url(),
                    "--api-listen", "127.0.0.1:0", "--admin-listen", admin,
                    "--bot-api-url", api.url(), "--log-level", "debug"},
                   {{"USERPROFILE_BOT_TOKEN", api.token()}}});
  api.FailNext(2);
  api.LimitNext(1, 1);
  api.Add(json::parse(MarkedUpdate(1)));
  EXPECT_TRUE(Eventually([&] { return api.pending() == 0; }))
      << adapter.errors();
  Keep(admin);
  adapter.Signal(SIGTERM);
  EXPECT_EQ(adapter.Wait(), 0);

  // With a token that Telegram does not know.
  Program refused(
      {{"userprofile-adapter", "poll", "--server", server_.address(),
        "--forward-to", bot.url(), "--api-listen", "127.0.0.1:0",
        "--admin-listen", admin, "--bot-api-url", api.url()},
       {{"USERPROFILE_BOT_TOKEN", "123456:Mark-token"}}});
  EXPECT_NE(refused.Wait(), 0);
  for (Program* program : {&adapter, &refused}) {
    const std::string log = program->errors() + program->output();
    EXPECT_THAT(log, Not(HasSubstr("TEST-token")));
    written_["the adapter's logs"] += log;
  }
  EXPECT_THAT(written_["the adapter's logs"], HasSubstr("passed over"));
  ExpectNoMarks();
}

}  // namespace
}  // namespace userprofile::testing
