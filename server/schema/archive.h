#ifndef USERPROFILE_SERVER_SCHEMA_ARCHIVE_H_
#define USERPROFILE_SERVER_SCHEMA_ARCHIVE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/postgres/binaries.h"
#include "server/postgres/process.h"

namespace userprofile::schema {

// A file that pg_dump wrote, of the service's tables and of nothing else.
class Archive {
 public:
  // Reads what is in it. FAILED_PRECONDITION if that is not possible, at once
  // if it is no regular file; or if it holds no users table, that without its
  // rows, or the tables of others.
  static absl::StatusOr<Archive> Open(postgres::Binaries programs,
                                      const std::string& file);

  // Of its tables; not quoted.
  const std::string& schema() const { return schema_; }

  // Their names, as an array literal.
  std::string TablesLiteral() const;

  // What in it is not restored, for it needs what is not in it.
  const std::vector<std::string>& left_out() const { return left_out_; }

  // Runs `before`, what is in the archive, and `after` in one transaction.
  // FAILED_PRECONDITION, with nothing changed, if PostgreSQL refuses any of it
  // or the archive can't be read to its end. Goes on while it is `wanted`.
  absl::Status Restore(const std::string& conninfo, const std::string& before,
                       const std::string& after,
                       postgres::StillWanted wanted) const;

 private:
  Archive(postgres::Binaries programs, std::string file)
      : programs_(std::move(programs)), file_(std::move(file)) {}

  // What pg_restore says of it.
  absl::StatusOr<std::string> Read(std::vector<std::string> words) const;
  absl::Status ReadContents(absl::string_view contents);

  postgres::Binaries programs_;
  std::string file_;  // its absolute path
  std::string schema_;
  std::vector<std::string> tables_;
  std::string selection_;  // the lines of the contents that are restored
  std::vector<std::string> left_out_;
};

// Of what one of PostgreSQL's programs wrote, the first line that says what
// went wrong; never one that quotes a row.
std::string FirstComplaint(absl::string_view output);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_ARCHIVE_H_
