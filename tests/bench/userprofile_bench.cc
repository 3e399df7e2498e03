// Keeps a fixed number of calls in flight for some seconds, and prints how many
// were answered and how fast. One thread drives all; gRPC's own do the rest.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::string server = "127.0.0.1:50051";
  std::string method = "upsert";
  int in_flight = 128;
  int connections = 4;
  std::int64_t users = 100000;
  int seconds = 10;
  int warm_up_seconds = 2;
};

// One call after the other; starts the next one when it is answered.
class Caller {
 public:
  Caller(const Options& options, v1::UserProfileService::Stub& stub,
         unsigned seed)
      : options_(options), stub_(stub), random_(seed) {}

  void Start(SteadyClock::time_point begin, SteadyClock::time_point end) {
    begin_ = begin;
    end_ = end;
    Call();
  }

  bool done() const { return done_; }
  std::int64_t failures() const { return failures_; }
  const std::vector<double>& latencies() const { return latencies_; }

 private:
  void Call() {
    sent_ = SteadyClock::now();
    context_ = std::make_unique<grpc::ClientContext>();
    const std::int64_t user =
        std::uniform_int_distribution<std::int64_t>(1, options_.users)(random_);
    const auto answered = [this](grpc::Status status) { Answered(status); };
    if (options_.method == "get") {
      get_.set_user_id(user);
      stub_.async()->GetProfile(context_.get(), &get_, &got_, answered);
    } else {
      upsert_.set_user_id(user);
      v1::Identity* identity = upsert_.mutable_identity();
      identity->set_first_name("Test");
      identity->set_last_name("User");
      identity->set_username("user" + std::to_string(user));
      identity->set_language_code("en");
      stub_.async()->UpsertUser(context_.get(), &upsert_, &upserted_, answered);
    }
  }

  void Answered(const grpc::Status& status) {
    const SteadyClock::time_point now = SteadyClock::now();
    if (now >= end_) {
      done_ = true;
      return;
    }
    if (!status.ok() && status.error_code() != grpc::StatusCode::NOT_FOUND) {
      ++failures_;
    } else if (now >= begin_) {
      latencies_.push_back(
          std::chrono::duration<double, std::milli>(now - sent_).count());
    }
    Call();
  }

  const Options& options_;
  v1::UserProfileService::Stub& stub_;
  std::minstd_rand random_;
  SteadyClock::time_point begin_, end_, sent_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::UpsertUserRequest upsert_;
  v1::UpsertUserResponse upserted_;
  v1::GetProfileRequest get_;
  v1::GetProfileResponse got_;
  std::vector<double> latencies_;
  std::int64_t failures_ = 0;
  std::atomic<bool> done_ = false;
};

int Run(const Options& options) {
  std::vector<std::unique_ptr<v1::UserProfileService::Stub>> stubs;
  for (int i = 0; i < options.connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(v1::UserProfileService::NewStub(grpc::CreateCustomChannel(
        options.server, grpc::InsecureChannelCredentials(), arguments)));
  }
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < options.in_flight; ++i) {
    callers.push_back(std::make_unique<Caller>(
        options, *stubs[static_cast<std::size_t>(i) % stubs.size()],
        static_cast<unsigned>(i + 1)));
  }
  const auto begin =
      SteadyClock::now() + std::chrono::seconds(options.warm_up_seconds);
  const auto end = begin + std::chrono::seconds(options.seconds);
  for (const auto& caller : callers) caller->Start(begin, end);
  std::this_thread::sleep_until(end);
  std::vector<double> latencies;
  std::int64_t failures = 0;
  for (const auto& caller : callers) {
    while (!caller->done()) std::this_thread::yield();
    latencies.insert(latencies.end(), caller->latencies().begin(),
                     caller->latencies().end());
    failures += caller->failures();
  }
  if (latencies.empty()) {
    std::cerr << "no call was answered" << std::endl;
    return 1;
  }
  std::sort(latencies.begin(), latencies.end());
  const auto percentile = [&](double p) {
    return latencies[static_cast<std::size_t>(
        p * static_cast<double>(latencies.size() - 1))];
  };
  std::cout << options.method << ": "
            << static_cast<std::int64_t>(latencies.size()) / options.seconds
            << " calls/s, p50 " << percentile(0.5) << " ms, p99 "
            << percentile(0.99) << " ms, max " << latencies.back() << " ms, "
            << failures << " failures" << std::endl;
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace userprofile

int main(int argc, char** argv) {
  userprofile::Options options;
  CLI::App app("Measures a userprofile server.", "userprofile-bench");
  app.add_option("--server", options.server, "HOST:PORT")
      ->capture_default_str();
  app.add_option("--method", options.method, "What to call")
      ->check(CLI::IsMember({"upsert", "get"}))
      ->capture_default_str();
  app.add_option("--in-flight", options.in_flight, "Calls at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--connections", options.connections, "Connections")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--users", options.users, "Random users from 1 to this")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long to measure")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return userprofile::Run(options);
}
