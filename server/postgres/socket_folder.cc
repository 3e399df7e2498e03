#include "server/postgres/socket_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/read_file.h"
#include "base/status_macros.h"

namespace userprofile::postgres {
namespace {

constexpr char kTemporary[] = "/tmp";
constexpr int kNames = 10;
// What can follow the usual name of a folder in the path of its socket.
constexpr char kLongestRest[] = "-01234567/.s.PGSQL.5432";

// Whether nobody but the account and root can have a hand in it.
bool IsPrivate(const struct stat& info, const Account& account) {
  return S_ISDIR(info.st_mode) && info.st_uid == account.uid &&
         (info.st_mode & 077) == 0;
}

// Where the account's socket folder of this name (with a slash) can be.
std::string PlaceFor(const Account& account, const std::string& name) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  for (std::string place : {std::string(runtime == nullptr ? "" : runtime),
                            std::string("/run/userprofile")}) {
    struct stat info;
    if (absl::StartsWith(place, "/") &&
        place.size() + name.size() + sizeof(kLongestRest) <=
            sizeof(sockaddr_un::sun_path) &&
        lstat(place.c_str(), &info) == 0 && IsPrivate(info, account)) {
      return place;
    }
  }
  return kTemporary;
}

// Opens and locks a folder that nobody uses; -1 if it is not the account's
// alone, or in use, or gone.
int Take(const std::string& path, const Account& account) {
  const int fd =
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat info;
  if (fstat(fd, &info) == 0 && IsPrivate(info, account) &&
      flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &info) == 0 &&
      info.st_nlink > 0) {
    return fd;
  }
  close(fd);
  return -1;
}

// Lets go of a folder that was taken, and removes it.
void Remove(const std::string& path, int fd) {
  for (const std::string& name : base::ListFolder(path)) {
    unlinkat(fd, name.c_str(), 0);
  }
  rmdir(path.c_str());
  // A process that is just being started may share it for an instant.
  flock(fd, LOCK_UN);
  close(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketFolder>> SocketFolder::Create(
    const std::string& directory, const Account& account) {
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't find ", directory));
  }
  const std::string start =
      absl::StrCat(kSocketFolderMark, "pg-", account.uid, "-");
  // Device and inode name a directory, however its path is spelled.
  const std::string name = absl::StrFormat(
      "%s%x-%x", start, std::uint64_t{info.st_dev}, std::uint64_t{info.st_ino});
  const std::string place = PlaceFor(account, name);
  for (const std::string& found : base::ListFolder(place)) {
    if (!absl::StartsWith(absl::StrCat("/", found), start)) continue;
    const std::string stale = absl::StrCat(place, "/", found);
    if (const int fd = Take(stale, account); fd >= 0) Remove(stale, fd);
  }
  const std::string usual = absl::StrCat(place == "/" ? "" : place, name);
  absl::BitGen random;
  std::string path = usual;
  for (int i = 0; i < kNames; ++i) {
    absl::Status made = MakeFolder(path, 0700, account);
    if (const int fd = made.ok() ? Take(path, account) : -1; fd >= 0) {
      return std::unique_ptr<SocketFolder>(
          new SocketFolder(std::move(path), fd));
    }
    if (absl::IsAlreadyExists(made)) {
      path = absl::StrFormat("%s-%08x", usual,
                             absl::Uniform<std::uint32_t>(random));
    } else if (!made.ok()) {
      return made;
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      usual, ", the place for this database's socket, is somebody else's"));
}

SocketFolder::~SocketFolder() { Remove(path_, fd_); }

}  // namespace userprofile::postgres
