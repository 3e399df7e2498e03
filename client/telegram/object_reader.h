#ifndef USERPROFILE_CLIENT_TELEGRAM_OBJECT_READER_H_
#define USERPROFILE_CLIENT_TELEGRAM_OBJECT_READER_H_

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/types/optional.h"

namespace userprofile::telegram {

// Reads the fields of a JSON object that are of interest. A field that is
// absent or null gives nullopt. So does one of another type, and that is
// remembered: the first such finding becomes the error, so that a caller reads
// everything first and looks at the error once. Must not outlive the object.
class ObjectReader {
 public:
  // `path` names the object in error messages; empty for the outermost one.
  ObjectReader(const nlohmann::json& object, std::string path,
               absl::Status& error);

  bool Has(const char* name) const { return Find(name) != nullptr; }

  absl::optional<std::int64_t> Integer(const char* name) const;
  absl::optional<bool> Bool(const char* name) const;
  absl::optional<std::string> Text(const char* name) const;
  absl::optional<ObjectReader> Object(const char* name) const;

  // Makes "<path>.<name> <what>" the error, unless there is one already.
  void Fail(const char* name, const char* what) const;

 private:
  const nlohmann::json* Find(const char* name) const;
  std::string PathOf(const char* name) const;

  const nlohmann::json& object_;
  std::string path_;
  absl::Status& error_;
};

}  // namespace userprofile::telegram

#endif  // USERPROFILE_CLIENT_TELEGRAM_OBJECT_READER_H_
