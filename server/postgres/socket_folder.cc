#include "server/postgres/socket_folder.h"

#include <fcntl.h>
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

// Holds a folder that nobody uses; null if it is not the account's alone, or in
// use, or gone.
std::unique_ptr<base::FileLock> Take(const std::string& path,
                                     const Account& account) {
  const int fd =
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  auto lock = base::FileLock::Take(fd);
  struct stat info;
  if (!lock.ok() || fstat(fd, &info) != 0 || !IsPrivate(info, account)) {
    return nullptr;
  }
  return *std::move(lock);
}

// Removes a folder that is held.
void Remove(const std::string& path) {
  for (const std::string& name : base::ListFolder(path)) {
    unlink(absl::StrCat(path, "/", name).c_str());
  }
  rmdir(path.c_str());
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
    if (const auto held = Take(stale, account)) Remove(stale);
  }
  const std::string usual = absl::StrCat(place == "/" ? "" : place, name);
  absl::BitGen random;
  std::string path = usual;
  for (int i = 0; i < kNames; ++i) {
    absl::Status made = MakeFolder(path, 0700, account);
    if (auto lock = made.ok() ? Take(path, account) : nullptr) {
      return std::unique_ptr<SocketFolder>(
          new SocketFolder(std::move(path), std::move(lock)));
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

SocketFolder::~SocketFolder() { Remove(path_); }

}  // namespace userprofile::postgres
