// Who may call, as operators and bots meet it: certificates, tokens and callers
// that are replaced while calls go on, and what the server refuses to start
// with.

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/certificate.h"
#include "tests/support/free_port.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// As a careful operator does: all at once.
void Replace(const std::string& path, const std::string& content) {
  std::ofstream(path + ".new") << content;
  std::filesystem::rename(path + ".new", path);
}

int CountOf(const std::string& words, const std::string& text) {
  int count = 0;
  for (std::size_t at = text.find(words); at != std::string::npos;
       at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

// A token and its hash, as the server's own command makes them.
struct Token {
  Token() {
    const Outcome outcome = RunProgram(
        {{"userprofile-server", "token", "create", "--output", "json"}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    const json made = json::parse(outcome.output);
    token = made.at("token");
    hash = made.at("token_sha256");
  }
  std::string token;
  std::string hash;
};

v1::UpsertUserRequest Contact(std::int64_t user) {
  v1::UpsertUserRequest request;
  request.set_user_id(user);
  return request;
}

// A server that knows its callers, its files, and two authorities.
class RotationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Install(Certificate({.issuer = &servers_ca_}));
    Replace(client_ca_, ReadAll(clients_ca_.certificate_file()));
    WriteCallers({first_.hash});
    server_ = std::make_unique<Program>(Program::Options{
        .words = {"userprofile-server", "serve", "--database",
                  database_.conninfo(), "--migrate", "--listen", address_,
                  "--admin-listen", "127.0.0.1:0", "--tls-cert", certificate_,
                  "--tls-key", key_, "--tls-client-ca", client_ca_, "--callers",
                  callers_}});
    const auto client = Connect(TokenOptions(first_));
    ASSERT_TRUE(Eventually([&] { return client->UpsertUser(Contact(1)).ok(); }))
        << server_->errors();
  }

  void Install(const Certificate& certificate) {
    Replace(key_, ReadAll(certificate.key_file()));
    Replace(certificate_, ReadAll(certificate.certificate_file()));
  }

  void WriteCallers(const std::vector<std::string>& hashes) {
    const json callers = {
        {"callers",
         {{{"name", "shop-bot"}, {"roles", {"bot"}}, {"token_sha256", hashes}},
          {{"name", "mail-bot"},
           {"roles", {"bot"}},
           {"certificate_sans", {"DNS:mail.example"}}}}}};
    Replace(callers_, callers.dump());
  }

  // Waits until the server has read that again, since it had `before` times.
  void AwaitReadAgain(const std::string& what, int before) {
    EXPECT_TRUE(Eventually([&] { return TimesReadAgain(what) > before; }))
        << what << server_->errors();
  }
  int TimesReadAgain(const std::string& what) const {
    return CountOf(what + " was read again", server_->errors());
  }

  client::ClientOptions TokenOptions(const Token& token) const {
    client::ClientOptions options;
    options.timeout = absl::Seconds(60);
    options.tls = client::TlsOptions{servers_ca_.certificate_file(), "", ""};
    options.token = token.token;
    return options;
  }

  client::ClientOptions CertificateOptions(const Certificate& shown) const {
    client::ClientOptions options;
    options.timeout = absl::Seconds(60);
    options.tls =
        client::TlsOptions{servers_ca_.certificate_file(),
                           shown.certificate_file(), shown.key_file()};
    return options;
  }

  std::unique_ptr<client::ProfileClient> Connect(
      const client::ClientOptions& options) const {
    auto client = client::MakeProfileClient(address_, options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  const TestDatabase database_;
  const TempDir directory_;
  const std::string certificate_ = directory_ / "tls.crt";
  const std::string key_ = directory_ / "tls.key";
  const std::string client_ca_ = directory_ / "ca.crt";
  const std::string callers_ = directory_ / "callers.json";
  const std::string address_ = absl::StrCat("localhost:", FreePort());
  const Certificate servers_ca_{{.authority = true}};
  const Certificate clients_ca_{{.authority = true}};
  const Token first_;
  std::unique_ptr<Program> server_;
};

// Bots that come with the newest credentials, a few calls each connection.
class Bots {
 public:
  using Connect = std::function<std::unique_ptr<client::ProfileClient>(
      const client::ClientOptions&)>;

  // One for each of these, to begin with.
  Bots(Connect connect, std::vector<client::ClientOptions> options)
      : connect_(std::move(connect)), options_(std::move(options)) {
    rounds_ = std::vector<std::atomic<int>>(options_.size());
    for (std::size_t bot = 0; bot < options_.size(); ++bot) {
      threads_.emplace_back([this, bot] { Run(bot); });
    }
  }

  ~Bots() { Stop(); }

  // From its next connection on; returns once that is made and was used.
  void Use(std::size_t bot, client::ClientOptions options) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      options_[bot] = std::move(options);
    }
    const int now = rounds_[bot];
    EXPECT_TRUE(Eventually([&] { return rounds_[bot] > now + 1; }));
  }

  std::vector<std::string> Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return failures_;
  }

 private:
  void Run(std::size_t bot) {
    for (std::int64_t user = 1; !stopping_; user = user % 50 + 1) {
      client::ClientOptions options;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        options = options_[bot];
      }
      const auto client = connect_(options);
      v1::GetProfileRequest get;
      get.set_user_id(user);
      for (int call = 0; call < 5; ++call) {
        Note(client->UpsertUser(Contact(user)).status());
        Note(client->GetProfile(get).status());
      }
      ++rounds_[bot];
    }
  }

  void Note(const absl::Status& status) {
    if (status.ok()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    failures_.push_back(status.ToString());
  }

  const Connect connect_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<client::ClientOptions> options_;  // protected by mutex_
  std::vector<std::string> failures_;           // protected by mutex_
  std::vector<std::atomic<int>> rounds_;
  std::vector<std::thread> threads_;
};

TEST_F(RotationTest, EverythingIsReplacedUnderLoadWithoutAFailedCall) {
  constexpr char kTls[] = "the TLS certificate";
  constexpr char kCallers[] = "the list of callers";
  std::vector<std::unique_ptr<Certificate>> authorities;
  std::vector<std::unique_ptr<Certificate>> shown;
  const auto issue = [&](const Certificate& authority) -> const Certificate& {
    shown.push_back(std::make_unique<Certificate>(
        CertificateContent{.subject_alternative_names = "DNS:mail.example",
                           .issuer = &authority}));
    return *shown.back();
  };
  // One that stays connected all the time, with what it came with.
  const auto steady = Connect(CertificateOptions(issue(clients_ca_)));
  ASSERT_TRUE(steady->UpsertUser(Contact(1)).ok());
  Bots bots([this](const auto& options) { return Connect(options); },
            {TokenOptions(first_), TokenOptions(first_),
             CertificateOptions(*shown[0])});

  Token old = first_;
  const Certificate* old_authority = &clients_ca_;
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    // A token: the new one is known beside the old one, then taken over, then
    // alone.
    const Token token;
    int before = TimesReadAgain(kCallers);
    WriteCallers({old.hash, token.hash});
    AwaitReadAgain(kCallers, before);
    for (const int bot : {0, 1}) bots.Use(bot, TokenOptions(token));
    WriteCallers({token.hash});
    AwaitReadAgain(kCallers, before + 1);
    const auto late = Connect(TokenOptions(old))->UpsertUser(Contact(1));
    EXPECT_TRUE(absl::IsUnauthenticated(late.status())) << late.status();

    // The certificate of the server.
    before = TimesReadAgain(kTls);
    Install(Certificate({.issuer = &servers_ca_}));
    AwaitReadAgain(kTls, before);

    // The authority of the clients, in the same way as a token.
    authorities.push_back(
        std::make_unique<Certificate>(CertificateContent{.authority = true}));
    const Certificate* authority = authorities.back().get();
    before = TimesReadAgain(kTls);
    Replace(client_ca_, ReadAll(old_authority->certificate_file()) +
                            ReadAll(authority->certificate_file()));
    AwaitReadAgain(kTls, before);
    bots.Use(2, CertificateOptions(issue(*authority)));
    Replace(client_ca_, ReadAll(authority->certificate_file()));
    AwaitReadAgain(kTls, before + 1);

    EXPECT_TRUE(steady->UpsertUser(Contact(1)).ok());
    old = token;
    old_authority = authority;
  }
  EXPECT_THAT(bots.Stop(), IsEmpty());
  EXPECT_EQ(CountOf("Handshake failed", server_->errors()), 0);
}

TEST_F(RotationTest, FilesThatAreNotRightChangeNothingAndAreNamedInTheLog) {
  Replace(callers_, "{");
  Replace(certificate_, ReadAll(clients_ca_.certificate_file()));
  EXPECT_TRUE(Eventually([&] {
    const std::string log = server_->errors();
    return CountOf("the list of callers was not read again", log) == 1 &&
           CountOf("the TLS certificate was not read again", log) == 1;
  })) << server_->errors();
  EXPECT_THAT(server_->errors(), HasSubstr(callers_));
  EXPECT_THAT(server_->errors(), HasSubstr("is not that of the certificate"));
  EXPECT_TRUE(Connect(TokenOptions(first_))->UpsertUser(Contact(2)).ok());

  Install(Certificate({.issuer = &servers_ca_}));
  WriteCallers({});
  EXPECT_TRUE(Eventually([&] {
    return absl::IsUnauthenticated(
        Connect(TokenOptions(first_))->UpsertUser(Contact(2)).status());
  })) << server_->errors();
}

TEST_F(RotationTest, WhatIsNoFileIsReadAgainOnceItIsOne) {
  for (const bool fifo : {true, false}) {
    SCOPED_TRACE(fifo);
    std::filesystem::remove(callers_);
    std::filesystem::remove(certificate_);
    if (fifo) {
      ASSERT_EQ(mkfifo(callers_.c_str(), 0600), 0);
      ASSERT_EQ(mkfifo(certificate_.c_str(), 0600), 0);
    } else {
      std::filesystem::create_directory(callers_);
      std::filesystem::create_directory(certificate_);
    }
    const char* is = fifo ? ": it is no regular file" : ": it is a directory";
    EXPECT_TRUE(Eventually([&] {
      return CountOf(callers_ + is, server_->errors()) == 1 &&
             CountOf(certificate_ + is, server_->errors()) == 1;
    })) << server_->errors();
    EXPECT_TRUE(Connect(TokenOptions(first_))->UpsertUser(Contact(1)).ok());
    std::filesystem::remove(callers_);
    std::filesystem::remove(certificate_);
    WriteCallers({first_.hash});
    Install(Certificate({.issuer = &servers_ca_}));
    EXPECT_TRUE(Eventually([&] {
      return CountOf("the list of callers is again", server_->errors()) ==
             (fifo ? 1 : 2);
    })) << server_->errors();
  }
  // A token that is revoked afterwards is refused.
  WriteCallers({});
  EXPECT_TRUE(Eventually([&] {
    return absl::IsUnauthenticated(
        Connect(TokenOptions(first_))->UpsertUser(Contact(1)).status());
  })) << server_->errors();
}

TEST_F(RotationTest, TheAdapterBringsItsTokenOverTls) {
  const std::string token_file = directory_ / "token";
  std::ofstream(token_file) << first_.token << "\n";
  const std::string updates = directory_ / "updates";
  std::ofstream(updates)
      << json({{"update_id", 1},
               {"message",
                {{"message_id", 1},
                 {"date", 1764000000},
                 {"chat", {{"id", 7}, {"type", "private"}}},
                 {"from",
                  {{"id", 7}, {"is_bot", false}, {"first_name", "Test"}}}}}})
      << "\n";
  const auto run = [&] {
    return RunProgram(
        {{"userprofile-adapter", "stdin", "--server", address_, "--tls",
          "--tls-ca-file", servers_ca_.certificate_file(), "--token-file",
          token_file, "--timeout", "20s"},
         {},
         updates});
  };
  Outcome outcome = run();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_THAT(outcome.output, HasSubstr("\"recognized\":\"new\""));

  std::ofstream(token_file) << Token().token << "\n";
  outcome = run();
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output + outcome.errors, HasSubstr("UNKNOWN_TOKEN"));
}

TEST(AccessProgramTest, RefusesToListenToStrangersInTheClear) {
  const TempDir directory;
  const std::string callers = directory / "callers.json";
  std::ofstream(callers) << R"({"callers": []})";
  const Certificate certificate;
  const Certificate other;
  struct {
    std::vector<std::string> flags;
    std::string says;
  } const cases[] = {
      {{"--listen", "0.0.0.0:0"}, "--insecure"},
      {{"--listen", "0.0.0.0:0", "--tls-cert", certificate.certificate_file(),
        "--tls-key", certificate.key_file()},
       "--callers"},
      {{"--listen", "0.0.0.0:0", "--callers", callers}, "--tls-cert"},
      {{"--listen", "0.0.0.0:0", "--callers", callers, "--insecure"},
       "--tls-cert"},
      {{"--tls-cert", certificate.certificate_file()}, "--tls-key"},
      {{"--tls-cert", certificate.certificate_file(), "--tls-key",
        other.key_file()},
       "is not that of the certificate"},
      {{"--tls-cert", "/nowhere", "--tls-key", "/nowhere"},
       "can't read /nowhere"},
      {{"--callers", "/nowhere"}, "can't read /nowhere"},
      {{"--callers", certificate.key_file()}, "is not JSON"},
      {{"--tls-require-client-cert"}, "--tls-client-ca"},
  };
  for (const auto& test : cases) {
    std::vector<std::string> words = {"userprofile-server", "serve",
                                      "--database",
                                      "embedded:" + (directory / "db")};
    words.insert(words.end(), test.flags.begin(), test.flags.end());
    const Outcome outcome = RunProgram({words});
    EXPECT_EQ(outcome.exit_code, 2) << absl::StrJoin(test.flags, " ");
    EXPECT_THAT(outcome.errors, HasSubstr(test.says));
  }
  EXPECT_FALSE(std::filesystem::exists(directory / "db"));
}

}  // namespace
}  // namespace userprofile::testing
