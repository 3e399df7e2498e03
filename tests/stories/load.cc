#include "tests/stories/load.h"

#include <chrono>
#include <utility>

#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

void Prepare(grpc::ClientContext& context, std::chrono::seconds deadline) {
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + deadline);
}

}  // namespace

grpc::Status Upsert(Stub& stub, std::int64_t user_id,
                    v1::UpsertUserResponse* response,
                    std::chrono::seconds deadline) {
  grpc::ClientContext context;
  Prepare(context, deadline);
  v1::UpsertUserRequest request;
  request.set_user_id(user_id);
  request.mutable_identity()->set_first_name("Test");
  return stub.UpsertUser(&context, request, response);
}

grpc::Status Get(Stub& stub, std::int64_t user_id,
                 v1::GetProfileResponse* response,
                 std::chrono::seconds deadline) {
  grpc::ClientContext context;
  Prepare(context, deadline);
  v1::GetProfileRequest request;
  request.set_user_id(user_id);
  return stub.GetProfile(&context, request, response);
}

void StoreUsers(Stub& stub, std::int64_t users) {
  for (std::int64_t user = 1; user <= users; ++user) {
    v1::UpsertUserResponse response;
    const grpc::Status status = Upsert(stub, user, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

Load::Load(std::vector<std::unique_ptr<Stub>> stubs, std::int64_t users)
    : stubs_(std::move(stubs)), users_(users) {
  for (std::size_t i = 0; i < stubs_.size(); ++i) {
    bots_.emplace_back([this, i] {
      Run(*stubs_[i], static_cast<std::int64_t>(i) * 7 % users_ + 1);
    });
  }
}

Load::~Load() { Stop(); }

Load::Tally Load::Stop() {
  stopping_ = true;
  for (std::thread& bot : bots_) bot.join();
  bots_.clear();
  std::lock_guard<std::mutex> lock(mutex_);
  return tally_;
}

void Load::Run(Stub& stub, std::int64_t first_user) {
  for (std::int64_t user = first_user; !stopping_; user = user % users_ + 1) {
    v1::UpsertUserResponse upserted;
    const grpc::Status status = Upsert(stub, user, &upserted);
    Count(status, upserted.created());
    v1::GetProfileResponse read;
    Count(Get(stub, user, &read), false);
  }
}

void Load::Count(const grpc::Status& status, bool created) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) {
    ++tally_.ok;
    ++ok_;
    if (created) ++tally_.created;
    return;
  }
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) ++tally_.not_found;
  ++tally_
        .failures[std::to_string(status.error_code()) + " " + ReasonOf(status)];
}

std::unique_ptr<Load> StartLoad(const ServerProgram& server, int bots,
                                std::int64_t users) {
  std::vector<std::unique_ptr<Stub>> stubs;
  for (int i = 0; i < bots; ++i) stubs.push_back(server.NewStub());
  auto load = std::make_unique<Load>(std::move(stubs), users);
  EXPECT_TRUE(Eventually([&] { return load->ok() > 100; }));
  return load;
}

}  // namespace userprofile::testing
