#ifndef USERPROFILE_MIGRATIONS_EMBEDDED_H_
#define USERPROFILE_MIGRATIONS_EMBEDDED_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace userprofile::migrations {

// One file of migrations/versions, NNN_name.sql. Once released, a file never
// changes: databases remember its checksum.
//
// A migration runs in one transaction of its own, and so holds no BEGIN or
// COMMIT. It changes only what differs, so that it can meet a table that was
// mended by hand before. What a person must decide, it refuses:
//   RAISE EXCEPTION '...' USING ERRCODE = 'UP001'
// with a message that says what to do and quotes no user's data.
struct Migration {
  int version;
  absl::string_view name;
  absl::string_view sha256;  // of the file, in lower-case hex
  absl::string_view sql;
};

// All migrations, by ascending version. Numbers can be missing: they belong to
// the bots that had the table before.
absl::Span<const Migration> Embedded();

}  // namespace userprofile::migrations

#endif  // USERPROFILE_MIGRATIONS_EMBEDDED_H_
