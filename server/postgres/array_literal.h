#ifndef USERPROFILE_SERVER_POSTGRES_ARRAY_LITERAL_H_
#define USERPROFILE_SERVER_POSTGRES_ARRAY_LITERAL_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace userprofile::postgres {

// Builds the text form of a one-dimensional array, for a parameter such as
// $1::text[] (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO).
// Every text is quoted, so that no value can be taken for NULL or for syntax.
class ArrayLiteral {
 public:
  // None is NULL.
  void AppendInt64(absl::optional<std::int64_t> value);
  void AppendBool(absl::optional<bool> value);
  void AppendText(absl::string_view value);
  // A number as it stands, such as "1700000000.25": not quoted.
  void AppendNumber(absl::string_view number);
  void AppendNull();

  // The finished literal, "{...}"; leaves the builder empty.
  std::string Finish();

 private:
  void Separate();

  std::string text_ = "{";
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ARRAY_LITERAL_H_
