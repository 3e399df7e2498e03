#ifndef USERPROFILE_CLIENT_ADAPTER_SECRET_H_
#define USERPROFILE_CLIENT_ADAPTER_SECRET_H_

#include <string>

#include "absl/status/statusor.h"

namespace userprofile::adapter {

// Reads a secret: from the file if one is named, else from the environment.
// There is no flag that takes a secret, for everybody on the machine can read
// a command line. White space around it is taken off. INVALID_ARGUMENT, which
// says what to do, if there is none, or the file can't be read. No error holds
// a part of the secret.
absl::StatusOr<std::string> ReadSecret(const std::string& file,
                                       const char* variable);

// Whether both are equal, in a time that does not tell where they differ.
bool SecretsEqual(const std::string& a, const std::string& b);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_SECRET_H_
