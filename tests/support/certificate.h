#ifndef USERPROFILE_TESTS_SUPPORT_CERTIFICATE_H_
#define USERPROFILE_TESTS_SUPPORT_CERTIFICATE_H_

#include <string>

#include "absl/time/time.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

class Certificate;

// What a certificate says.
struct CertificateContent {
  // As in OpenSSL's configuration; empty for none.
  std::string subject_alternative_names = "DNS:localhost";

  // From now.
  absl::Duration begins = -absl::Minutes(1);
  absl::Duration ends = absl::Hours(1);

  // Whether it may sign others.
  bool authority = false;

  // How many bits its key has, of RSA; 0 for one of P-256.
  unsigned rsa_bits = 0;

  // Who signs it; itself if null.
  const Certificate* issuer = nullptr;
};

// A new certificate and its key, in two PEM files.
class Certificate {
 public:
  explicit Certificate(const CertificateContent& content = {});

  const std::string& certificate_file() const { return certificate_file_; }
  const std::string& key_file() const { return key_file_; }

 private:
  const TempDir directory_;
  const std::string certificate_file_ = directory_ / "certificate.pem";
  const std::string key_file_ = directory_ / "key.pem";
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_CERTIFICATE_H_
