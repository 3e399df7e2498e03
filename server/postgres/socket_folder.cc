#include "server/postgres/socket_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace userprofile::postgres {
namespace {

// Whether nobody but the account and root can have a hand in it.
bool IsPrivate(const struct stat& info, const Account& account) {
  return S_ISDIR(info.st_mode) && info.st_uid == account.uid &&
         (info.st_mode & 07777) == 0700;
}

// A killed server's sockets would make PostgreSQL look at the process that now
// has its number.
void Empty(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    unlink(entry.path().c_str());
  }
}

}  // namespace

absl::StatusOr<std::string> SocketFolder::PathFor(const std::string& directory,
                                                  const Account& account) {
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't find ", directory));
  }
  // Device and inode name a directory, however its path is spelled.
  return absl::StrFormat("%s%d-%x-%x", kSocketFolderPrefix, account.uid,
                         std::uint64_t{info.st_dev},
                         std::uint64_t{info.st_ino});
}

absl::StatusOr<std::unique_ptr<SocketFolder>> SocketFolder::Create(
    const std::string& directory, const Account& account) {
  USERPROFILE_ASSIGN_OR_RETURN(const std::string path,
                               PathFor(directory, account));
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) {
    if (!IsPrivate(info, account)) {
      return absl::FailedPreconditionError(
          absl::StrCat(path,
                       ", the place for this database's socket, is not "
                       "a private folder of its user: remove it"));
    }
    Empty(path);
  } else {
    USERPROFILE_RETURN_IF_ERROR(MakeFolder(path, 0700, account));
  }
  return std::unique_ptr<SocketFolder>(new SocketFolder(path));
}

SocketFolder::~SocketFolder() {
  Empty(path_);
  rmdir(path_.c_str());
}

}  // namespace userprofile::postgres
