#include "server/transport/tls.h"

#include <grpc/grpc.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/read_file.h"
#include "base/status_macros.h"

namespace userprofile::transport {
namespace {

template <typename T, void (*kFree)(T*)>
struct Freer {
  void operator()(T* object) const { kFree(object); }
};
template <typename T, void (*kFree)(T*)>
using Owned = std::unique_ptr<T, Freer<T, kFree>>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Bio = Owned<BIO, BIO_free_all>;
using SslContext = Owned<SSL_CTX, SSL_CTX_free>;

// Asks nobody at the terminal for a password.
int NoPassword(char*, int, int, void*) { return 0; }

Bio Open(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm tm = {};
  if (ASN1_TIME_to_tm(time, &tm) != 1) return absl::InfinitePast();
  return absl::FromTM(tm, absl::UTCTimeZone());
}

template <typename... Texts>
absl::Status Refuse(const Texts&... texts) {
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(texts...));
}

// The certificates of a file, at least one.
absl::StatusOr<std::vector<Certificate>> ParseCertificates(
    const std::string& path, const std::string& pem) {
  ERR_clear_error();
  const Bio bio = Open(pem);
  std::vector<Certificate> certificates;
  while (Certificate next{
      PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr)}) {
    certificates.push_back(std::move(next));
  }
  if (certificates.empty() ||
      ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return Refuse(path,
                  " holds no certificate in PEM form, or one that is "
                  "damaged");
  }
  ERR_clear_error();
  return certificates;
}

// Whether OpenSSL would serve with them. It refuses keys and signatures that
// are too weak; gRPC would meet that only in the next handshake.
bool CanServeWith(const std::vector<Certificate>& chain, const Key& key) {
  const SslContext context(SSL_CTX_new(TLS_server_method()));
  bool can = SSL_CTX_use_certificate(context.get(), chain.front().get()) == 1 &&
             SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1;
  for (auto it = chain.begin() + 1; can && it != chain.end(); ++it) {
    can = SSL_CTX_add1_chain_cert(context.get(), it->get()) == 1;
  }
  return can;
}

// A port with credentials of gRPC's core, which can fetch a certificate anew;
// those of its C++ API can't, or not without losing the old one to a bad one.
class CoreCredentials final : public grpc::ServerCredentials {
 public:
  explicit CoreCredentials(grpc_server_credentials* credentials)
      : credentials_(credentials) {}
  ~CoreCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* const credentials_;
};

}  // namespace

bool TlsFiles::empty() const { return certificate.empty() && key.empty(); }

absl::Status TlsFiles::Validate() const {
  if (certificate.empty() != key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key are given together");
  }
  if (empty() && !client_ca.empty()) {
    return absl::InvalidArgumentError(
        "--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (client_ca.empty() && client_certificate_required) {
    return absl::InvalidArgumentError(
        "--tls-require-client-cert needs --tls-client-ca");
  }
  return absl::OkStatus();
}

absl::StatusOr<Tls::Content> Tls::Read(const TlsFiles& files) {
  Content content;
  USERPROFILE_ASSIGN_OR_RETURN(content.certificate,
                               base::ReadSettingsFile(files.certificate));
  USERPROFILE_ASSIGN_OR_RETURN(content.key, base::ReadSettingsFile(files.key));
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::vector<Certificate> chain,
      ParseCertificates(files.certificate, content.certificate));
  const Certificate& certificate = chain.front();
  const Key key(PEM_read_bio_PrivateKey(Open(content.key).get(), nullptr,
                                        NoPassword, nullptr));
  if (key == nullptr) {
    return Refuse(files.key,
                  " holds no private key in PEM form, or one with a password");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Refuse("the key in ", files.key,
                  " is not that of the certificate in ", files.certificate);
  }
  if (!CanServeWith(chain, key)) {
    const char* const why = ERR_reason_error_string(ERR_peek_last_error());
    return Refuse("no client would be served with ", files.certificate, ": ",
                  why == nullptr ? "OpenSSL refuses it" : why);
  }
  content.expires = TimeOf(X509_get0_notAfter(certificate.get()));
  const absl::Time begins = TimeOf(X509_get0_notBefore(certificate.get()));
  if (const absl::Time now = absl::Now();
      now < begins || now > content.expires) {
    return Refuse(
        "the certificate in ", files.certificate, " holds from ",
        absl::FormatTime(absl::RFC3339_sec, begins, absl::UTCTimeZone()),
        " to ",
        absl::FormatTime(absl::RFC3339_sec, content.expires,
                         absl::UTCTimeZone()),
        ", not now");
  }
  if (!files.client_ca.empty()) {
    USERPROFILE_ASSIGN_OR_RETURN(content.client_ca,
                                 base::ReadSettingsFile(files.client_ca));
    USERPROFILE_RETURN_IF_ERROR(
        ParseCertificates(files.client_ca, content.client_ca).status());
  }
  return content;
}

Tls::Tls(TlsFiles files, Content content)
    : files_(std::move(files)), content_(std::move(content)) {}

absl::StatusOr<std::unique_ptr<Tls>> Tls::Load(TlsFiles files) {
  USERPROFILE_RETURN_IF_ERROR(files.Validate());
  USERPROFILE_ASSIGN_OR_RETURN(Content content, Read(files));
  return std::unique_ptr<Tls>(new Tls(std::move(files), std::move(content)));
}

absl::StatusOr<bool> Tls::Reload() {
  USERPROFILE_ASSIGN_OR_RETURN(Content content, Read(files_));
  base::MutexLock lock(mutex_);
  if (content.certificate == content_.certificate &&
      content.key == content_.key && content.client_ca == content_.client_ca) {
    return false;
  }
  content_ = std::move(content);
  fetched_ = false;
  return true;
}

absl::Time Tls::expires() const {
  base::MutexLock lock(mutex_);
  return content_.expires;
}

grpc_ssl_certificate_config_reload_status Tls::Fetch(
    grpc_ssl_server_certificate_config** config) {
  base::MutexLock lock(mutex_);
  if (fetched_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const grpc_ssl_pem_key_cert_pair pair = {content_.key.c_str(),
                                           content_.certificate.c_str()};
  // gRPC insists on some authority, also where no certificate is asked for.
  const std::string& client_ca =
      content_.client_ca.empty() ? content_.certificate : content_.client_ca;
  *config =
      grpc_ssl_server_certificate_config_create(client_ca.c_str(), &pair, 1);
  fetched_ = true;
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

std::shared_ptr<grpc::ServerCredentials> Tls::ServerCredentials() {
  const grpc_ssl_client_certificate_request_type request =
      files_.client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
      : files_.client_certificate_required
          ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
          : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
  {
    base::MutexLock lock(mutex_);
    fetched_ = false;
  }
  return std::make_shared<CoreCredentials>(
      grpc_ssl_server_credentials_create_with_options(
          grpc_ssl_server_credentials_create_options_using_config_fetcher(
              request,
              [](void* tls, grpc_ssl_server_certificate_config** config) {
                return static_cast<Tls*>(tls)->Fetch(config);
              },
              this)));
}

}  // namespace userprofile::transport
