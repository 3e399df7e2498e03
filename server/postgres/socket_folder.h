#ifndef USERPROFILE_SERVER_POSTGRES_SOCKET_FOLDER_H_
#define USERPROFILE_SERVER_POSTGRES_SOCKET_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/postgres/account.h"

namespace userprofile::postgres {

// What the path of every socket folder begins with.
inline constexpr char kSocketFolderPrefix[] = "/tmp/userprofile-";

// The private folder of a server's Unix socket: /tmp/userprofile-..., for the
// path of a socket can't be longer than 107 bytes, and that of a data directory
// can. Only `account` and root can enter it, which is all the authentication
// that the server needs. Removed, with what is in it, when destroyed.
class SocketFolder {
 public:
  // The path that Create gives the folder of `directory`, which exists.
  static absl::StatusOr<std::string> PathFor(const std::string& directory,
                                             const Account& account);

  // The folder that belongs to `directory`, which exists and which the caller
  // holds: always the same one, so that what a killed server left behind is
  // used again. FAILED_PRECONDITION if something else lies there.
  static absl::StatusOr<std::unique_ptr<SocketFolder>> Create(
      const std::string& directory, const Account& account);

  ~SocketFolder();
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit SocketFolder(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_SOCKET_FOLDER_H_
