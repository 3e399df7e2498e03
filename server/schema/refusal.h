#ifndef USERPROFILE_SERVER_SCHEMA_REFUSAL_H_
#define USERPROFILE_SERVER_SCHEMA_REFUSAL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/optional.h"

namespace userprofile::schema {

// Reason of the errors for what a person must decide first.
inline constexpr char kMigrationRefused[] = "MIGRATION_REFUSED";

// The words with which a migration refused (RAISE ... USING ERRCODE = 'UP001');
// nullopt if `status` is of another kind.
absl::optional<std::string> RefusalOf(const absl::Status& status);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REFUSAL_H_
