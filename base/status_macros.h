#ifndef USERPROFILE_BASE_STATUS_MACROS_H_
#define USERPROFILE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expression` from the calling function unless it is OK.
#define USERPROFILE_RETURN_IF_ERROR(expression) \
  do {                                          \
    absl::Status status_ = (expression);        \
    if (!status_.ok()) return status_;          \
  } while (false)

// Assigns the value of a StatusOr to `target` (which may declare a variable),
// or returns its status from the calling function.
#define USERPROFILE_ASSIGN_OR_RETURN(target, expression)                   \
  USERPROFILE_ASSIGN_OR_RETURN_(USERPROFILE_CONCAT_(status_or_, __LINE__), \
                                target, expression)

#define USERPROFILE_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                                     \
  if (!result.ok()) return std::move(result).status();            \
  target = *std::move(result)

#define USERPROFILE_CONCAT_(a, b) USERPROFILE_CONCAT_INNER_(a, b)
#define USERPROFILE_CONCAT_INNER_(a, b) a##b

#endif  // USERPROFILE_BASE_STATUS_MACROS_H_
