#ifndef USERPROFILE_TESTS_SUPPORT_END_UNLESS_OK_H_
#define USERPROFILE_TESTS_SUPPORT_END_UNLESS_OK_H_

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace userprofile::testing {

// For what no test could go on without: ends the program with a message.
inline void EndUnlessOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "test database: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T ValueOrEnd(absl::StatusOr<T> value) {
  EndUnlessOk(value.status());
  return *std::move(value);
}

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_END_UNLESS_OK_H_
