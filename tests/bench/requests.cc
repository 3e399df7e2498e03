#include "tests/bench/requests.h"

#include <functional>
#include <random>
#include <sstream>

#include "grpc/health/v1/health.pb.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::bench {
namespace {

// Any user, another one each time.
using AnyUser = std::function<std::int64_t()>;

struct Method {
  const char* name;
  const char* path;
  std::string (*serialize)(const AnyUser& any_user);
};

constexpr int kBatch = 100;
constexpr std::size_t kMostBytes = 64 << 20;

std::string Health(const AnyUser&) {
  return grpc::health::v1::HealthCheckRequest().SerializeAsString();
}

std::string Get(const AnyUser& any_user) {
  v1::GetProfileRequest request;
  request.set_user_id(any_user());
  return request.SerializeAsString();
}

std::string GetBatch(const AnyUser& any_user) {
  v1::BatchGetProfilesRequest request;
  for (int i = 0; i < kBatch; ++i) request.add_user_ids(any_user());
  return request.SerializeAsString();
}

// The same contact whenever it is made, and what run.sh lets pgbench write.
v1::UpsertUserRequest Contact(std::int64_t user) {
  v1::UpsertUserRequest request;
  request.set_user_id(user);
  v1::Identity* identity = request.mutable_identity();
  identity->set_first_name("Test");
  identity->set_last_name("User");
  identity->set_username("user" + std::to_string(user));
  identity->set_language_code("en");
  return request;
}

std::string Upsert(const AnyUser& any_user) {
  return Contact(any_user()).SerializeAsString();
}

// A contact that changes what is known.
std::string Rename(const AnyUser& any_user) {
  v1::UpsertUserRequest request = Contact(any_user());
  request.mutable_identity()->set_first_name(std::to_string(any_user()));
  return request.SerializeAsString();
}

std::string UpsertBatch(const AnyUser& any_user) {
  v1::BatchUpsertUsersRequest request;
  for (int i = 0; i < kBatch; ++i)
    *request.add_requests() = Contact(any_user());
  return request.SerializeAsString();
}

std::string Onboard(const AnyUser& any_user) {
  const std::int64_t user = any_user();
  v1::CompleteOnboardingRequest request;
  request.set_user_id(user);
  v1::OnboardingAnswers* answers = request.mutable_answers();
  answers->set_real_name("Test User");
  answers->set_nickname("nick" + std::to_string(user));
  answers->set_study_track("science");
  return request.SerializeAsString();
}

constexpr Method kMethods[] = {
    {"check", "/grpc.health.v1.Health/Check", Health},
    {"get", "/userprofile.v1.UserProfileService/GetProfile", Get},
    {"upsert", "/userprofile.v1.UserProfileService/UpsertUser", Upsert},
    {"rename", "/userprofile.v1.UserProfileService/UpsertUser", Rename},
    {"onboard", "/userprofile.v1.UserProfileService/CompleteOnboarding",
     Onboard},
    {"get-100", "/userprofile.v1.UserProfileService/BatchGetProfiles",
     GetBatch},
    {"upsert-100", "/userprofile.v1.UserProfileService/BatchUpsertUsers",
     UpsertBatch},
};

// Not compressed, and the length in four bytes.
std::string Framed(const std::string& message) {
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    framed += static_cast<char>(message.size() >> shift & 0xff);
  }
  return framed + message;
}

const Method* FindMethod(const std::string& name) {
  for (const Method& method : kMethods) {
    if (name == method.name) return &method;
  }
  return nullptr;
}

}  // namespace

std::vector<MixPart> ParseMix(const std::string& text) {
  std::vector<MixPart> mix;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream words(part);
    MixPart parsed{"", 1};
    std::getline(words, parsed.method, '=');
    const bool weighted = !words.eof();
    if (weighted && (!(words >> parsed.weight) || !words.eof())) return {};
    if (parsed.weight < 1 || FindMethod(parsed.method) == nullptr) return {};
    mix.push_back(parsed);
  }
  return mix;
}

Requests::Requests(const std::vector<MixPart>& mix, std::int64_t users,
                   unsigned seed, std::size_t count) {
  std::vector<const Method*> methods;
  std::vector<int> weights;
  for (const MixPart& part : mix) {
    methods.push_back(FindMethod(part.method));
    weights.push_back(part.weight);
  }
  std::mt19937_64 random(seed);
  std::discrete_distribution<std::size_t> any_method(weights.begin(),
                                                     weights.end());
  std::uniform_int_distribution<std::int64_t> any_user(1, users);
  const AnyUser user = [&] { return any_user(random); };
  requests_.reserve(count);
  for (std::size_t bytes = 0; requests_.size() < count && bytes < kMostBytes;
       bytes += requests_.back().message.size()) {
    const Method& method = *methods[any_method(random)];
    requests_.push_back({method.path, Framed(method.serialize(user))});
  }
}

}  // namespace userprofile::bench
