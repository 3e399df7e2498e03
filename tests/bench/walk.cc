// Goes through all users of a userprofile server by ListProfiles, and prints
// one line of JSON about it: how many there were, how fast, what the first
// pages took and what the last, and whether anybody who was to be there was
// missed or seen twice.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "nlohmann/json.hpp"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string server = "127.0.0.1:50051";
  int page_size = 1000;
  std::int64_t step = 0;
  std::string nickname_prefix;
  double seconds = 0;
};

double MicrosSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start)
      .count();
}

// The median of some of the pages' times.
double Median(std::vector<double>::const_iterator begin,
              std::vector<double>::const_iterator end) {
  std::vector<double> times(begin, end);
  std::sort(times.begin(), times.end());
  return times.empty() ? 0 : times[times.size() / 2];
}

// Whether users came in the order of their ids, and all multiples of `step`
// among them.
class Roll {
 public:
  explicit Roll(std::int64_t step) : step_(step) {}

  void Note(std::int64_t user) {
    if (user <= last_) ++not_in_order_;
    if (step_ > 0) {
      for (std::int64_t due = last_ - last_ % step_ + step_; due < user;
           due += step_) {
        ++missing_;
      }
    }
    last_ = user;
    ++users_;
  }

  void Tell(nlohmann::ordered_json& json) const {
    json["users"] = users_;
    json["last_user"] = last_;
    json["not_in_order"] = not_in_order_;
    json["missing"] = missing_;
  }

  std::int64_t users() const { return users_; }

 private:
  const std::int64_t step_;
  std::int64_t users_ = 0;
  std::int64_t last_ = 0;
  std::int64_t not_in_order_ = 0;
  std::int64_t missing_ = 0;
};

int Run(const Options& options) {
  const auto stub = v1::UserProfileService::NewStub(
      grpc::CreateChannel(options.server, grpc::InsecureChannelCredentials()));
  v1::ListProfilesRequest request;
  request.set_page_size(options.page_size);
  if (!options.nickname_prefix.empty()) {
    request.mutable_filter()->set_nickname_prefix(options.nickname_prefix);
  }
  Roll roll(options.step);
  std::vector<double> times;
  v1::ListProfilesResponse page;
  const auto ask = [&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(30));
    const Clock::time_point asked = Clock::now();
    const grpc::Status status = stub->ListProfiles(&context, request, &page);
    if (!status.ok()) throw std::runtime_error(status.error_message());
    times.push_back(MicrosSince(asked));
    request.set_page_token(page.next_page_token());
  };
  const Clock::time_point start = Clock::now();
  const auto is_over = [&] {
    return options.seconds > 0 &&
           MicrosSince(start) > options.seconds * 1'000'000;
  };
  do {
    do {
      ask();
      for (const v1::Profile& profile : page.profiles()) {
        roll.Note(profile.user_id());
      }
    } while (!page.next_page_token().empty() && !is_over());
  } while (options.seconds > 0 && !is_over());
  const double seconds = MicrosSince(start) / 1'000'000;

  constexpr std::ptrdiff_t kSome = 20;
  const std::ptrdiff_t some =
      std::min(kSome, static_cast<std::ptrdiff_t>(times.size()));
  nlohmann::ordered_json json;
  roll.Tell(json);
  json["pages"] = times.size();
  json["seconds"] = seconds;
  json["users_per_second"] = static_cast<double>(roll.users()) / seconds;
  json["last_pages_us"] = Median(times.end() - some, times.end());
  if (roll.users() == 0) {
    std::cout << json.dump() << std::endl;
    return 0;
  }
  // Again, by a connection that is no newer: gRPC lets it grow fast.
  request.clear_page_token();
  for (std::ptrdiff_t i = 0; i < some; ++i) ask();
  json["first_pages_us"] = Median(times.end() - some, times.end());
  std::cout << json.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace userprofile::bench

int main(int argc, char** argv) {
  userprofile::bench::Options options;
  CLI::App app(
      "Goes through all users of a userprofile server by ListProfiles and "
      "prints one line of JSON about it.",
      "userprofile-walk");
  app.add_option("--server", options.server, "HOST:PORT or unix:PATH")
      ->capture_default_str();
  app.add_option("--page-size", options.page_size, "Users on a page")
      ->capture_default_str();
  app.add_option("--step", options.step,
                 "Multiples of this are there throughout; 0: nobody need be")
      ->capture_default_str();
  app.add_option("--nickname-prefix", options.nickname_prefix,
                 "Only users whose nickname begins so");
  app.add_option("--seconds", options.seconds,
                 "Go through them again and again for so long; 0: once")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return userprofile::bench::Run(options);
  } catch (const std::runtime_error& e) {
    std::cerr << "userprofile-walk: " << e.what() << std::endl;
    return 1;
  }
}
