#include "server/schema/archive.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/process.h"

namespace userprofile::schema {
namespace {

// What a line of the contents can be about. The longer of two that fit counts.
constexpr absl::string_view kRestored[] = {
    "TABLE DATA", "TABLE",   "SEQUENCE OWNED BY", "SEQUENCE SET",
    "SEQUENCE",   "DEFAULT", "CHECK CONSTRAINT",  "CONSTRAINT",
    "INDEX",      "COMMENT", "STATISTICS",
};
// What a comment can be on, to be restored. All else may be left out itself.
constexpr absl::string_view kCommented[] = {"TABLE", "COLUMN", "INDEX"};
// The database's own, and taken from there.
constexpr absl::string_view kIgnored[] = {"ACL", "DEFAULT ACL"};

bool IsOneOf(absl::string_view entry,
             absl::Span<const absl::string_view> kinds) {
  return std::any_of(kinds.begin(), kinds.end(), [&](absl::string_view kind) {
    return absl::StartsWith(entry, absl::StrCat(kind, " "));
  });
}

// A descriptor of ours.
struct Descriptor {
  ~Descriptor() { Close(); }
  void Close() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  int fd = -1;
};

// False if nobody reads the socket any more, which is an error here, not a
// signal.
bool Write(const Descriptor& socket, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(socket.fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::string FirstComplaint(absl::string_view output) {
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    // "psql:<stdin>:12: ERROR:  22P02: invalid input ..." quotes the input.
    for (const absl::string_view data : {"  22", "  23", "  P0"}) {
      const std::size_t at = line.find(data);
      if (at != absl::string_view::npos && line.size() > at + 7 &&
          line[at + 7] == ':') {
        return absl::StrCat("SQLSTATE ", line.substr(at + 2, 5),
                            ", a row was refused");
      }
    }
    if (absl::StrContains(line, "rror:") || absl::StrContains(line, ":  ")) {
      return std::string(line);
    }
  }
  return std::string(output.substr(0, output.find('\n')));
}

absl::StatusOr<Archive> Archive::Open(postgres::Binaries programs,
                                      const std::string& file) {
  const auto cant_read = [&](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("can't read ", file, ": ", why));
  };
  // To open a FIFO would wait for somebody who writes into it.
  std::error_code error;
  const bool is_file = std::filesystem::is_regular_file(file, error);
  if (error) return cant_read(error.message());
  if (!is_file) return cant_read("it is no regular file");
  // The programs run elsewhere.
  const std::string path = std::filesystem::absolute(file, error).string();
  if (error) return cant_read(error.message());

  Archive archive(std::move(programs), path);
  USERPROFILE_ASSIGN_OR_RETURN(const std::string contents,
                               archive.Read({"--list"}));
  // The contents alone don't tell where the name of a schema ends.
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::string definitions,
      archive.Read({"--schema-only", "--no-owner", "--file=-"}));
  for (absl::string_view line : absl::StrSplit(definitions, '\n')) {
    if (absl::ConsumePrefix(&line, "-- Name: users; Type: TABLE; Schema: ") &&
        absl::ConsumeSuffix(&line, "; Owner: -")) {
      archive.schema_ = std::string(line);
      break;
    }
  }
  USERPROFILE_RETURN_IF_ERROR(archive.ReadContents(contents));
  return archive;
}

absl::StatusOr<std::string> Archive::Read(
    std::vector<std::string> words) const {
  postgres::Command command;
  words.insert(words.begin(), absl::StrCat(programs_.folder, "/pg_restore"));
  words.push_back(file_);
  command.words = std::move(words);
  USERPROFILE_ASSIGN_OR_RETURN(postgres::Outcome outcome,
                               postgres::RunToEnd(std::move(command)));
  if (outcome.exit_code == 0) return std::move(outcome.output);
  return absl::FailedPreconditionError(absl::StrCat(
      file_,
      " is no backup that can be read: ", FirstComplaint(outcome.output)));
}

absl::Status Archive::ReadContents(absl::string_view contents) {
  const auto is_foreign = [&](absl::string_view what) {
    return absl::FailedPreconditionError(
        absl::StrCat(file_, " is no backup of this service: ", what));
  };
  bool holds_rows = false;
  for (const absl::string_view line : absl::StrSplit(contents, '\n')) {
    // "217; 1259 16427 TABLE public users owner"
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (absl::StartsWith(line, ";") || words.size() < 5) continue;
    const absl::string_view entry =
        line.substr(static_cast<std::size_t>(words[3].data() - line.data()));
    if (IsOneOf(entry, kIgnored)) continue;
    absl::string_view comment_on = entry;
    const bool is_orphan =
        absl::ConsumePrefix(&comment_on,
                            absl::StrCat("COMMENT ", schema_, " ")) &&
        !IsOneOf(comment_on, kCommented);
    if (is_orphan || !IsOneOf(entry, kRestored)) {
      // Without the owner.
      left_out_.emplace_back(entry.substr(0, entry.rfind(' ')));
      continue;
    }
    absl::StrAppend(&selection_, line, "\n");
    absl::string_view name = entry;
    const bool is_data = absl::ConsumePrefix(&name, "TABLE DATA ");
    if (!is_data && !absl::ConsumePrefix(&name, "TABLE ")) continue;
    const bool is_ours = absl::ConsumePrefix(&name, absl::StrCat(schema_, " "));
    const bool is_users = absl::StartsWith(name, "users ");
    if (!is_ours ||
        (!is_users && !absl::StartsWith(name, "userprofile_migrations "))) {
      return is_foreign("it holds other tables");
    }
    if (is_data) {
      holds_rows = holds_rows || is_users;
    } else {
      tables_.emplace_back(is_users ? "users" : "userprofile_migrations");
    }
  }
  if (std::find(tables_.begin(), tables_.end(), "users") == tables_.end()) {
    return is_foreign("it holds no table users");
  }
  if (!holds_rows) return is_foreign("it does not hold the rows of users");
  return absl::OkStatus();
}

std::string Archive::TablesLiteral() const {
  postgres::ArrayLiteral literal;
  for (const std::string& table : tables_) literal.AppendText(table);
  return literal.Finish();
}

// psql runs what pg_restore writes, and gets to see COMMIT only once pg_restore
// has written everything: whatever breaks off before is undone.
absl::Status Archive::Restore(const std::string& conninfo,
                              const std::string& before,
                              const std::string& after,
                              postgres::StillWanted wanted) const {
  USERPROFILE_ASSIGN_OR_RETURN(postgres::ProgramConnection connection,
                               postgres::ForProgram(conninfo));
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ErrnoToStatus(errno, "can't create a socket");
  }
  Descriptor input{ends[0]};
  Descriptor script{ends[1]};
  const Descriptor errors{memfd_create("errors", MFD_CLOEXEC)};
  // A file, for pg_restore opens it by name.
  const Descriptor selection{memfd_create("selection", MFD_CLOEXEC)};

  postgres::Command psql;
  psql.words = {absl::StrCat(programs_.folder, "/psql"),
                "--no-psqlrc",
                "--quiet",
                "--no-password",
                "--set=ON_ERROR_STOP=1",
                "--set=VERBOSITY=verbose",  // for the SQLSTATE
                "--set=SHOW_CONTEXT=never",
                absl::StrCat("--dbname=", connection.conninfo)};
  psql.environment = std::move(connection.environment);
  psql.input = input.fd;
  psql.errors = errors.fd;
  USERPROFILE_ASSIGN_OR_RETURN(const pid_t pid, postgres::Spawn(psql));
  input.Close();
  postgres::ProcessGuard guard(pid, std::move(wanted));

  postgres::Command restore;
  restore.words = {absl::StrCat(programs_.folder, "/pg_restore"),
                   "--no-owner",
                   "--no-privileges",
                   "--no-tablespaces",
                   "--use-list=/dev/stdin",
                   "--file=-",
                   file_};
  restore.input = selection.fd;
  restore.output = script.fd;
  bool complete = Write(script, absl::StrCat("BEGIN;\n", before)) &&
                  write(selection.fd, selection_.data(), selection_.size()) ==
                      static_cast<ssize_t>(selection_.size());
  const absl::StatusOr<postgres::Outcome> restored =
      postgres::RunToEnd(std::move(restore));
  complete = complete && restored.ok() && restored->exit_code == 0 &&
             Write(script, absl::StrCat(after, "\nCOMMIT;\n"));
  script.Close();
  const int exit_code = postgres::WaitForEnd(pid);
  USERPROFILE_RETURN_IF_ERROR(guard.Stop());

  if (exit_code == 0 && complete) return absl::OkStatus();
  constexpr int kConnectionLost = 2;
  if (exit_code == kConnectionLost && complete) {
    return absl::UnavailableError(
        "the connection was lost while PostgreSQL finished: whether the backup "
        "was restored, 'userprofile-server schema check' may tell");
  }
  USERPROFILE_RETURN_IF_ERROR(restored.status());
  return absl::FailedPreconditionError(absl::StrCat(
      "nothing was restored, nothing was changed: ",
      exit_code != 0
          ? FirstComplaint(
                base::ReadFile(absl::StrCat("/proc/self/fd/", errors.fd))
                    .value_or(""))
          : absl::StrCat(file_, " can't be read to its end: ",
                         FirstComplaint(restored->output))));
}

}  // namespace userprofile::schema
