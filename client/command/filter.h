#ifndef USERPROFILE_CLIENT_COMMAND_FILTER_H_
#define USERPROFILE_CLIENT_COMMAND_FILTER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "ops/command_line.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::command {

// What the flags of a filter came to.
struct FilterOptions {
  std::map<std::string, absl::optional<bool>> switches;  // by their flags
  std::map<std::string, std::string> texts;
  std::vector<std::string> attributes;
};

// Adds a flag for each field of ProfileFilter, or two for a range of times.
// `options` must outlive the command line.
void AddFilterFlags(ops::Command command, FilterOptions& options);

// INVALID_ARGUMENT, which names the flag, if a value is not what it has to be.
absl::StatusOr<v1::ProfileFilter> MakeFilter(const FilterOptions& options);

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_FILTER_H_
