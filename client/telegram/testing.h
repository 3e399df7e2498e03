#ifndef USERPROFILE_CLIENT_TELEGRAM_TESTING_H_
#define USERPROFILE_CLIENT_TELEGRAM_TESTING_H_

#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/read_file.h"

namespace userprofile::telegram {

// The lines of testdata/contacts.jsonl.
inline std::vector<nlohmann::json> Contacts() {
  const auto file =
      base::ReadFile(USERPROFILE_TESTDATA "/contacts.jsonl").value_or("");
  std::vector<nlohmann::json> lines;
  for (const absl::string_view line :
       absl::StrSplit(file, '\n', absl::SkipEmpty())) {
    lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

}  // namespace userprofile::telegram

#endif  // USERPROFILE_CLIENT_TELEGRAM_TESTING_H_
