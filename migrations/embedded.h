#ifndef USERPROFILE_MIGRATIONS_EMBEDDED_H_
#define USERPROFILE_MIGRATIONS_EMBEDDED_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace userprofile::migrations {

// How a migration runs, told by the end of its file's name.
enum class Kind {
  // NNN_name.sql: all of it in one transaction. For what is quick however many
  // users there are, as it may hold up all traffic on the table.
  kTransaction,

  // NNN_name.batches.sql: one statement, run again and again for the users with
  // user_id > $1 AND user_id <= $2, each time in a transaction of its own. A
  // run that was killed starts over, so it selects only rows that lack
  // something; and it locks them by ascending user_id, as the service does.
  kBatches,

  // NNN_name.index.sql: one CREATE INDEX CONCURRENTLY on users. What is left of
  // a build that failed is dropped first, and so is an index of that name that
  // is not what the contract asks for.
  kIndex,
};

// One file of migrations/versions. Once released, a file never changes:
// databases remember its checksum.
//
// A migration holds no BEGIN or COMMIT. It changes only what differs, so that
// it can meet a table that was mended by hand before, and can be run again
// after a kill. What a person must decide, it refuses:
//   RAISE EXCEPTION '...' USING ERRCODE = 'UP001'
// with a message that says what to do and quotes no user's data.
struct Migration {
  int version;
  absl::string_view name;
  absl::string_view sha256;  // of the file, in lower-case hex
  absl::string_view sql;
  Kind kind = Kind::kTransaction;
  absl::string_view index =
      "";  // the name of the index, where that is its kind
};

// All migrations, by ascending version. Numbers can be missing: they belong to
// the bots that had the table before.
absl::Span<const Migration> Embedded();

}  // namespace userprofile::migrations

#endif  // USERPROFILE_MIGRATIONS_EMBEDDED_H_
