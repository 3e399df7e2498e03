#ifndef USERPROFILE_CLIENT_TELEGRAM_TESTING_H_
#define USERPROFILE_CLIENT_TELEGRAM_TESTING_H_

#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace userprofile::telegram {

// The lines of testdata/contacts.jsonl.
inline std::vector<nlohmann::json> Contacts() {
  std::ifstream file(USERPROFILE_TESTDATA "/contacts.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

}  // namespace userprofile::telegram

#endif  // USERPROFILE_CLIENT_TELEGRAM_TESTING_H_
