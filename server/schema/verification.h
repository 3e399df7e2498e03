#ifndef USERPROFILE_SERVER_SCHEMA_VERIFICATION_H_
#define USERPROFILE_SERVER_SCHEMA_VERIFICATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"

namespace userprofile::schema {

// What a comparison of a database with this program found, in sentences.
struct Verification {
  std::vector<std::string> faults;
  std::vector<std::string> notes;  // odd, but no fault
};

// Compares the history with the migrations, their checksums, and the schema
// with the contract. A migration that is pending, came late or was changed is a
// fault, and so is any breach; one that only a newer program knows is not.
absl::StatusOr<Verification> Verify(postgres::Session& session,
                                    absl::Span<const migrations::Migration>
                                        migrations = migrations::Embedded());

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_VERIFICATION_H_
