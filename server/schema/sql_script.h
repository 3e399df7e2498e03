#ifndef USERPROFILE_SERVER_SCHEMA_SQL_SCRIPT_H_
#define USERPROFILE_SERVER_SCHEMA_SQL_SCRIPT_H_

#include <vector>

#include "absl/strings/string_view.h"

namespace userprofile::schema {

// The statements of an SQL script, in order, each with the comments before it
// and without its semicolon. Knows what may hide a semicolon: comments, quoted
// text and names, and dollar quotes. Views into `script`.
std::vector<absl::string_view> SplitStatements(absl::string_view script);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_SQL_SCRIPT_H_
