#include "tests/support/server_program.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/http_client.h"

namespace userprofile::testing {
namespace {

constexpr char kAdminAddress[] = "http://127.0.0.1:";

}  // namespace

ServerProgram::ServerProgram(std::string database,
                             std::vector<std::string> flags,
                             std::map<std::string, std::string> environment)
    : database_(std::move(database)),
      flags_(std::move(flags)),
      environment_(std::move(environment)),
      address_(absl::StrCat("unix:", directory_ / "grpc")) {}

void ServerProgram::Start() {
  Program::Options options;
  options.words = {
      "userprofile-server", "serve",  "--database",     database_,
      "--listen",           address_, "--admin-listen", "127.0.0.1:0"};
  options.words.insert(options.words.end(), flags_.begin(), flags_.end());
  options.environment = environment_;
  program_ = std::make_unique<Program>(std::move(options));
  const bool listens = Eventually(
      [this] {
        return absl::StrContains(program_->errors(), kAdminAddress) ||
               !program_->running();
      },
      absl::Seconds(60));
  const std::string log = program_->errors();
  const std::size_t at = log.find(kAdminAddress);
  if (!listens || at == std::string::npos) {
    ADD_FAILURE() << "the server does not listen: " << log;
    return;
  }
  admin_port_ = std::atoi(log.c_str() + at + sizeof(kAdminAddress) - 1);
}

void ServerProgram::StartReady() {
  Start();
  AwaitReady();
}

std::unique_ptr<v1::UserProfileService::Stub> ServerProgram::NewStub() const {
  // A channel of its own: others with the same arguments share connections.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  return v1::UserProfileService::NewStub(grpc::CreateCustomChannel(
      address_, grpc::InsecureChannelCredentials(), arguments));
}

std::string ServerProgram::admin_address() const {
  return absl::StrCat("127.0.0.1:", admin_port_);
}

ServerProgram::Page ServerProgram::Get(const std::string& path) const {
  const HttpAnswer answer =
      HttpClient(admin_address(), absl::Seconds(5)).Get(path);
  return {answer.status, answer.body};
}

bool ServerProgram::AwaitReady(absl::Duration patience) {
  const bool ready =
      Eventually([this] { return Get("/readyz").code == 200; }, patience);
  EXPECT_TRUE(ready) << Get("/readyz").body << program_->errors();
  return ready;
}

bool ServerProgram::AwaitNotReady(const std::string& words,
                                  absl::Duration patience) {
  const bool seen = Eventually(
      [&] {
        const Page page = Get("/readyz");
        return page.code == 503 && absl::StrContains(page.body, words);
      },
      patience);
  EXPECT_TRUE(seen) << Get("/readyz").body << program_->errors();
  return seen;
}

}  // namespace userprofile::testing
