#ifndef USERPROFILE_SERVER_POSTGRES_SOCKET_FOLDER_H_
#define USERPROFILE_SERVER_POSTGRES_SOCKET_FOLDER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/file_lock.h"
#include "server/postgres/process.h"

namespace userprofile::postgres {

// What the path of every socket folder holds.
inline constexpr char kSocketFolderMark[] = "/userprofile-";

// The private folder of a server's Unix socket. It is not in the data
// directory, for the path of a socket can't be longer than 107 bytes: it is in
// $XDG_RUNTIME_DIR or /run/userprofile, where that is the account's alone and
// the path not too long, else in /tmp. Only `account` and root can enter it,
// which is all the authentication that the server needs. Locked while it is in
// use; removed, with what is in it, when destroyed.
class SocketFolder {
 public:
  // Makes the folder for `directory`, which exists and which the caller holds:
  // the same one each time, unless somebody else took its name. Removes those
  // of the account that killed servers left behind.
  static absl::StatusOr<std::unique_ptr<SocketFolder>> Create(
      const std::string& directory, const Account& account);

  ~SocketFolder();
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  SocketFolder(std::string path, std::unique_ptr<base::FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  std::unique_ptr<base::FileLock> lock_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_SOCKET_FOLDER_H_
