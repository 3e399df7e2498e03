#include "tests/support/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace userprofile::testing {
namespace {

using Name = const unsigned char*;

void AddExtension(X509* x509, int kind, const char* value) {
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

// A name of its own for each, so that no authority is taken for another.
void SetSubject(X509* x509) {
  std::uint32_t number = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&number), sizeof(number));
  ASN1_INTEGER_set(X509_get_serialNumber(x509), number);
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<Name>("localhost"), -1, -1, 0);
  X509_NAME_add_entry_by_txt(
      name, "serialNumber", MBSTRING_ASC,
      reinterpret_cast<Name>(std::to_string(number).c_str()), -1, -1, 0);
}

bool Sign(X509* x509, EVP_PKEY* key, const Certificate* issuer) {
  if (issuer == nullptr) {
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    return X509_sign(x509, key, EVP_sha256()) != 0;
  }
  std::FILE* file = std::fopen(issuer->certificate_file().c_str(), "r");
  X509* authority = PEM_read_X509(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  file = std::fopen(issuer->key_file().c_str(), "r");
  EVP_PKEY* signer = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  X509_set_issuer_name(x509, X509_get_subject_name(authority));
  const bool done = X509_sign(x509, signer, EVP_sha256()) != 0;
  X509_free(authority);
  EVP_PKEY_free(signer);
  return done;
}

}  // namespace

Certificate::Certificate(const CertificateContent& content) {
  EVP_PKEY* key = content.rsa_bits == 0 ? EVP_EC_gen("P-256")
                                        : EVP_RSA_gen(content.rsa_bits);
  X509* x509 = X509_new();
  X509_set_version(x509, 2);
  X509_gmtime_adj(X509_getm_notBefore(x509),
                  absl::ToInt64Seconds(content.begins));
  X509_gmtime_adj(X509_getm_notAfter(x509), absl::ToInt64Seconds(content.ends));
  X509_set_pubkey(x509, key);
  SetSubject(x509);
  if (content.authority) {
    AddExtension(x509, NID_basic_constraints, "critical,CA:TRUE");
  }
  if (!content.subject_alternative_names.empty()) {
    AddExtension(x509, NID_subject_alt_name,
                 content.subject_alternative_names.c_str());
  }

  bool written = Sign(x509, key, content.issuer);
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
