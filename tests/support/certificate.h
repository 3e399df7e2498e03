#ifndef USERPROFILE_TESTS_SUPPORT_CERTIFICATE_H_
#define USERPROFILE_TESTS_SUPPORT_CERTIFICATE_H_

#include <string>

#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// A new self-signed certificate for "localhost" and its key, in two PEM files,
// good for an hour.
class Certificate {
 public:
  Certificate();

  const std::string& certificate_file() const { return certificate_file_; }
  const std::string& key_file() const { return key_file_; }

 private:
  const TempDir directory_;
  const std::string certificate_file_ = directory_ / "certificate.pem";
  const std::string key_file_ = directory_ / "key.pem";
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_CERTIFICATE_H_
