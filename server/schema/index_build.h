#ifndef USERPROFILE_SERVER_SCHEMA_INDEX_BUILD_H_
#define USERPROFILE_SERVER_SCHEMA_INDEX_BUILD_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/postgres/session.h"
#include "server/schema/ddl.h"

namespace userprofile::schema {

inline constexpr char kRowTooLarge[] = "54000";

// Sees to it that users has the index `name`, as `sql` makes it (one CREATE
// INDEX CONCURRENTLY), while others read and write. An index of that name that
// is invalid, as a failed build leaves it, or not what the contract asks for,
// is dropped and built again; IF NOT EXISTS would be content with it. One that
// is right stays. Outside any transaction.
//
// An error with the SQLSTATE kRowTooLarge if a row does not fit into it, and
// FAILED_PRECONDITION with the reason MIGRATION_REFUSED if the name belongs to
// something else, or users share what shall be unique; no part of an index
// stays behind then.
absl::Status BuildIndex(postgres::Session& session,
                        const postgres::SessionFactory& connect,
                        const DdlOptions& options, absl::string_view name,
                        absl::string_view sql);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_INDEX_BUILD_H_
