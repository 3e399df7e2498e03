#ifndef USERPROFILE_SERVER_TRANSPORT_TLS_H_
#define USERPROFILE_SERVER_TRANSPORT_TLS_H_

#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace userprofile::transport {

// The PEM files that encrypt the port of the calls.
struct TlsFiles {
  // The server's certificate, with those between it and its authority behind
  // it, and its private key, without a password.
  std::string certificate;
  std::string key;

  // Whose client certificates are believed. Empty: none is asked for. Otherwise
  // a client may show one; one that is not believed ends the connection.
  std::string client_ca = {};

  // Whether a client must show one.
  bool client_certificate_required = false;

  bool empty() const;

  // INVALID_ARGUMENT with a sentence for people if some are missing.
  absl::Status Validate() const;
};

// What is in the files, and in force. Thread-safe.
class Tls {
 public:
  // INVALID_ARGUMENT with a sentence for people if a file can't be read or is
  // no such file, if the key is not that of the certificate, if OpenSSL finds
  // one of them too weak, or if the time is not one at which the certificate
  // holds.
  static absl::StatusOr<std::unique_ptr<Tls>> Load(TlsFiles files);

  // Reads the files again; connections that begin from now on get what they
  // hold, those that are there stay. Whether anything changed. Errors as those
  // of Load(); nothing changes then.
  absl::StatusOr<bool> Reload();

  // For one port of one server, which this object must outlive. Their
  // SetAuthMetadataProcessor() does nothing.
  std::shared_ptr<grpc::ServerCredentials> ServerCredentials();

  // Until when the certificate holds.
  absl::Time expires() const;

 private:
  struct Content {
    std::string certificate;
    std::string key;
    std::string client_ca;
    absl::Time expires;
  };

  Tls(TlsFiles files, Content content);

  static absl::StatusOr<Content> Read(const TlsFiles& files);

  // gRPC asks for the certificate at the start and before each handshake.
  grpc_ssl_certificate_config_reload_status Fetch(
      grpc_ssl_server_certificate_config** config);

  const TlsFiles files_;

  mutable base::Mutex mutex_;
  Content content_ ABSL_GUARDED_BY(mutex_);
  bool fetched_ ABSL_GUARDED_BY(mutex_) = false;  // by gRPC, as it is now
};

}  // namespace userprofile::transport

#endif  // USERPROFILE_SERVER_TRANSPORT_TLS_H_
