#include "tests/support/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

namespace userprofile::testing {

Certificate::Certificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x509 = X509_new();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -60);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, key);
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(
      name, "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(
      nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(x509, names, -1);
  X509_EXTENSION_free(names);

  bool written = X509_sign(x509, key, EVP_sha256()) != 0;
  std::FILE* file = std::fopen(certificate_file_.c_str(), "w");
  written = written && PEM_write_X509(file, x509) != 0;
  written = std::fclose(file) == 0 && written;
  file = std::fopen(key_file_.c_str(), "w");
  written = written && PEM_write_PrivateKey(file, key, nullptr, nullptr, 0,
                                            nullptr, nullptr) != 0;
  written = std::fclose(file) == 0 && written;
  X509_free(x509);
  EVP_PKEY_free(key);
  if (!written) {
    std::fprintf(stderr, "can't make a certificate\n");
    std::exit(1);
  }
}

}  // namespace userprofile::testing
