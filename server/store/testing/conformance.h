#ifndef USERPROFILE_SERVER_STORE_TESTING_CONFORMANCE_H_
#define USERPROFILE_SERVER_STORE_TESTING_CONFORMANCE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "server/store/postgres_store.h"
#include "server/store/testing/blocking_store.h"
#include "server/store/testing/fake_store.h"
#include "server/store/testing/users_database.h"

// What every ProfileStore does is tested with each of these: the fake and
// PostgresStore with batches of any size, so that no caller can tell them
// apart.
namespace userprofile::store {

inline constexpr std::int64_t kUser = 12345;
inline const absl::Time kNow = absl::FromUnixMicros(1'700'000'000'123'456);

struct Implementation {
  const char* name;
  std::size_t max_batch;  // none: the fake
  absl::Duration contact_interval = absl::ZeroDuration();
  bool record_contacts = false;

  std::unique_ptr<ProfileStore> Make(base::Clock clock) const {
    if (max_batch == 0) return std::make_unique<FakeStore>(std::move(clock));
    PostgresStoreOptions options;
    options.connect = UsersDatabase::Shared().EmptySessions();
    options.max_batch = max_batch;
    options.contact_interval = contact_interval;
    options.record_contacts = record_contacts;
    options.clock = std::move(clock);
    return std::make_unique<PostgresStore>(std::move(options));
  }
};

// Tests with each implementation.
class ProfileStoreTest : public ::testing::TestWithParam<Implementation> {
 protected:
  ProfileStoreTest() : impl_(GetParam().Make([this] { return now_.load(); })) {}

  // Times that tests move while workers read them.
  class AtomicTime {
   public:
    void operator=(absl::Time time) { micros_ = absl::ToUnixMicros(time); }
    void operator+=(absl::Duration d) { *this = load() + d; }
    absl::Time load() const { return absl::FromUnixMicros(micros_); }

   private:
    std::atomic<std::int64_t> micros_ = absl::ToUnixMicros(kNow);
  };

  v1::UpsertUserRequest Contact(std::int64_t user_id = kUser) {
    v1::UpsertUserRequest request;
    request.set_user_id(user_id);
    request.mutable_identity()->set_first_name("Test");
    return request;
  }

  v1::CompleteOnboardingRequest Answers(std::int64_t user_id,
                                        const std::string& nickname) {
    v1::CompleteOnboardingRequest request;
    request.set_user_id(user_id);
    request.mutable_answers()->set_real_name("Ada Lovelace");
    request.mutable_answers()->set_nickname(nickname);
    return request;
  }

  // Of the error's details.
  static std::string Metadata(const absl::Status& status,
                              const std::string& key) {
    google::rpc::ErrorInfo info;
    const auto payload =
        status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
    EXPECT_TRUE(payload && info.ParseFromString(std::string(*payload)));
    return info.metadata().count(key) > 0 ? info.metadata().at(key) : "";
  }

  AtomicTime now_;
  std::unique_ptr<ProfileStore> impl_;
  BlockingStore store_{*impl_};
};

inline const auto kImplementations = ::testing::Values(
    Implementation{"Fake", 0, absl::ZeroDuration(), /*record_contacts=*/true},
    Implementation{"BatchesOfOne", 1, absl::ZeroDuration(), true},
    Implementation{"DefaultBatches", PostgresStoreOptions().max_batch},
    Implementation{"LargestBatches", PostgresStoreOptions().max_in_flight},
    Implementation{"ContactInterval", PostgresStoreOptions().max_batch,
                   absl::Hours(1)});

inline std::string NameOf(
    const ::testing::TestParamInfo<Implementation>& info) {
  return info.param.name;
}

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TESTING_CONFORMANCE_H_
