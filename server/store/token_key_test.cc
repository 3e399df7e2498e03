// The key of tokens, as a store reads it.

#include "server/users/token_key.h"

#include <future>
#include <string>

#include "absl/status/statusor.h"
#include "base/error_info.h"
#include "gtest/gtest.h"
#include "server/store/testing/postgres_store_fixture.h"

namespace userprofile::store {
namespace {

class TokenKeyTest : public PostgresStoreTest {
 protected:
  absl::StatusOr<std::string> KeyOf(ProfileStore& store) {
    std::string key;
    std::promise<absl::Status> done;
    store.ReadTokenKey(&key, {}, [&](absl::Status status) {
      done.set_value(std::move(status));
    });
    const absl::Status status = done.get_future().get();
    if (!status.ok()) return status;
    return key;
  }

  void ExpectUnavailable() {
    PostgresStore fresh(options_);
    const absl::Status status = KeyOf(fresh).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(base::ErrorReason(status), "TOKENS_UNAVAILABLE");
    // All else goes on.
    EXPECT_TRUE(BlockingStore(fresh).Upsert(Contact(1)).ok());
  }
};

TEST_F(TokenKeyTest, IsTheSameForAllServersOfADatabase) {
  PostgresStore one(options_);
  PostgresStore another(options_);
  const auto key = KeyOf(one);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->size(), users::kTokenKeySize);
  EXPECT_EQ(KeyOf(another).value_or(""), *key);
  // Once it is known, nothing is asked.
  database_.Execute("DROP TABLE userprofile_token_key");
  EXPECT_EQ(KeyOf(one).value_or(""), *key);
}

TEST_F(TokenKeyTest, WhatIsNoKeyOfOursIsNone) {
  database_.Execute("INSERT INTO userprofile_token_key VALUES ('\\x01')");
  ExpectUnavailable();
  database_.Execute("TRUNCATE userprofile_token_key");
  ExpectUnavailable();
  database_.Execute("INSERT INTO userprofile_token_key VALUES ('\\x01')");
  ExpectUnavailable();
  database_.Execute("DROP TABLE userprofile_token_key");
  ExpectUnavailable();
  // Reading it would call what others wrote.
  database_.Execute(
      "CREATE SEQUENCE ran;"
      "CREATE VIEW userprofile_token_key AS"
      " SELECT sha256(nextval('public.ran')::text::bytea) AS key");
  ExpectUnavailable();
  EXPECT_FALSE(database_.Execute("SELECT is_called FROM ran").Bool(0, 0));
}

// A server that began before the key was there needs no restart.
TEST_F(TokenKeyTest, IsFoundOnceItIsThere) {
  database_.Execute("ALTER TABLE userprofile_token_key RENAME TO put_away");
  PostgresStore server(options_);
  EXPECT_FALSE(KeyOf(server).ok());
  database_.Execute("ALTER TABLE put_away RENAME TO userprofile_token_key");
  EXPECT_TRUE(KeyOf(server).ok());
}

}  // namespace
}  // namespace userprofile::store
