#ifndef USERPROFILE_MIGRATIONS_EMBEDDED_H_
#define USERPROFILE_MIGRATIONS_EMBEDDED_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace userprofile::migrations {

// How a migration runs, told by the end of its file's name.
enum class Kind {
  // NNN_name.sql: all of it in one transaction. For what is quick however many
  // users there are, as it may hold up all traffic on the table. It holds no
  // BEGIN or COMMIT, and changes only what differs, so that it can meet a table
  // that was mended by hand. It names the table :users, for the migrator as for
  // psql -v users=public.users; all other names are those of pg_catalog. What a
  // person must decide, it refuses:
  //   RAISE EXCEPTION '...' USING ERRCODE = 'UP001'
  // with a message that says what to do and quotes no user's data.
  kTransaction,

  // NNN_name.contract.sql: a comment that says what the contract asks for since
  // then. What the table lacks of it is done by schema::Repairer, beside the
  // traffic.
  kContract,
};

// One file of migrations/versions. Once released, a file never changes:
// databases remember its checksum.
struct Migration {
  int version;
  absl::string_view name;

  // Of the file, in lower-case hex; or what it says itself, in a line "-- was:
  // HEX", of the SQL that it once held and that did the same.
  absl::string_view sha256;

  absl::string_view sql;
  Kind kind = Kind::kTransaction;
};

// All migrations, by ascending version. Numbers can be missing: they belong to
// the bots that had the table before.
absl::Span<const Migration> Embedded();

}  // namespace userprofile::migrations

#endif  // USERPROFILE_MIGRATIONS_EMBEDDED_H_
