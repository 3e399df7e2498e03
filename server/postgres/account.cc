#include "server/postgres/account.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace userprofile::postgres {
namespace {

constexpr std::size_t kPasswdBuffer = 16384;

Account Named(const passwd& entry) {
  return {entry.pw_uid, entry.pw_gid, entry.pw_name, true};
}

absl::optional<Account> AccountNamed(const char* name) {
  passwd entry;
  passwd* found = nullptr;
  std::array<char, kPasswdBuffer> buffer;
  getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr || found->pw_uid == 0) return absl::nullopt;
  return Named(*found);
}

// The owner of what lies at `path`, unless that is root or nothing is there.
// initdb wants the user to have a name.
absl::optional<Account> OwnerOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || info.st_uid == 0) return absl::nullopt;
  passwd entry;
  passwd* found = nullptr;
  std::array<char, kPasswdBuffer> buffer;
  getpwuid_r(info.st_uid, &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return absl::nullopt;
  return Named(*found);
}

}  // namespace

absl::StatusOr<Account> AccountFor(const std::string& directory) {
  if (geteuid() != 0) return Account{geteuid(), getegid(), "", false};
  for (const std::string& path :
       {absl::StrCat(directory, "/data"), directory}) {
    if (absl::optional<Account> owner = OwnerOf(path)) return *owner;
  }
  for (const char* name : {"postgres", "nobody"}) {
    if (absl::optional<Account> account = AccountNamed(name)) return *account;
  }
  return absl::FailedPreconditionError(
      "PostgreSQL can't run as root, and there is no user `postgres` or "
      "`nobody` to run it as: create the user `postgres`");
}

absl::Status MakeFolder(const std::string& path, mode_t mode,
                        const Account& account) {
  if (mkdir(path.c_str(), mode) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't create ", path));
  }
  if (account.foreign && lchown(path.c_str(), account.uid, account.gid) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("can't give ", path, " to ", account.name));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> OpenOwnFile(const std::string& path, int flags,
                                const Account* account) {
  // A FIFO must not hold us up.
  const int fd = open(
      path.c_str(),
      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
  if (fd < 0) {
    if (errno != ELOOP) {
      return absl::ErrnoToStatus(errno, absl::StrCat("can't open ", path));
    }
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a link: remove it"));
  }
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  struct stat file;
  struct stat parent;
  // One that was removed meanwhile has no name at all.
  if (fstat(fd, &file) == 0 && stat(folder.c_str(), &parent) == 0 &&
      S_ISREG(file.st_mode) && file.st_nlink <= 1 &&
      (file.st_uid == geteuid() || file.st_uid == parent.st_uid ||
       (account != nullptr && file.st_uid == account->uid))) {
    return fd;
  }
  close(fd);
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is not a file of its own: remove it"));
}

}  // namespace userprofile::postgres
