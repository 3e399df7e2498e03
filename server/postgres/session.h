#ifndef USERPROFILE_SERVER_POSTGRES_SESSION_H_
#define USERPROFILE_SERVER_POSTGRES_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/postgres/rows.h"

namespace userprofile::postgres {

class Watchdog;

// An SQL statement with parameters $1, $2, ... The name is unique within the
// program: it labels the prepared statement, metrics, logs and errors. It and
// scripts name the tables of the service as in table_names.h, :users.
struct Statement {
  const char* name;
  const char* sql;
};

// The values of a statement's parameters, in order, in PostgreSQL's text form.
// nullopt is NULL.
using Parameters = std::vector<absl::optional<std::string>>;

// One connection to PostgreSQL, outside any transaction unless BEGIN was
// executed. Not thread-safe.
//
// OK to a statement outside a transaction, or to COMMIT, means that what it
// wrote is where commits have to be: on disk, and on the synchronous standby if
// there is one, also where PostgreSQL was told to wait for it no longer.
//
// Errors, here and in everything that runs SQL (see errors.h for the SQLSTATEs
// behind them):
//   UNAVAILABLE          the connection is lost, or was never made; healthy()
//                        is false. See MayHaveTakenEffect for a statement that
//                        was under way.
//   ABORTED              the statement was rolled back for the sake of others
//                        (deadlock, serialization, lock or statement time-out);
//                        it may succeed if it is tried again.
//   FAILED_PRECONDITION  the schema is not what the statement needs.
//   INVALID_ARGUMENT     the data was refused, by a type or by a constraint.
//   ALREADY_EXISTS       the data was refused by a unique index.
//   UNIMPLEMENTED        PostgreSQL can't do this, with a view say.
//   INTERNAL             anything else.
// Their messages are for logs: they hold the server's words, but no values.
class Session {
 public:
  virtual ~Session() = default;

  // Runs one statement, prepared at its first use in this session.
  virtual absl::StatusOr<Rows> Execute(const Statement& statement,
                                       const Parameters& parameters) = 0;

  // Runs SQL text that takes no parameters and may hold several statements;
  // returns the rows of the last one.
  virtual absl::StatusOr<Rows> ExecuteScript(absl::string_view sql) = 0;

  // Looks again where the tables of the service are: in the first schema of
  // the search path, as it was configured, that has users; or else a history of
  // migrations; or else where new tables go. By itself a session looks before
  // the first statement that names them, and after one that did not find what
  // it names. Returns the schema, quoted for SQL; empty if there is none.
  virtual absl::StatusOr<std::string> FindTables() = 0;

  // False once the connection is lost, also if that happened since the last
  // statement; or once it shall be replaced for another reason. A session never
  // reconnects: drop it.
  virtual bool healthy() = 0;

  // Why it is not healthy: the connection is lost (true), or still there, but
  // to be replaced.
  virtual bool lost() { return !healthy(); }
};

// Runs `body` between BEGIN and COMMIT; ROLLBACK if it fails, and its error. An
// error too if a statement failed and `body` did not say so.
absl::Status InTransaction(Session& session,
                           absl::FunctionRef<absl::Status()> body);

// Commits something of no meaning, as durably as any write. OK proves that when
// it was called, this server still was the primary that its synchronous standby
// follows: all that the session read or committed before is there, too. Where
// there is no synchronous standby, only that it is on disk. It waits as any
// commit does, so on a primary that has lost its standby until answer_timeout.
absl::Status ConfirmPrimary(Session& session);

// How to connect.
struct ConnectOptions {
  // What libpq accepts: a postgresql:// URL or "key=value ..." words. What it
  // says goes before the settings below.
  std::string conninfo;

  // How long to wait for a connection. Whole seconds, at least 2.
  absl::Duration connect_timeout = absl::Seconds(2);

  // After this time PostgreSQL ends a statement (ABORTED). Zero: never.
  absl::Duration statement_timeout = absl::Seconds(5);

  // After this time a statement that waits for a lock ends (ABORTED).
  absl::Duration lock_timeout = absl::Seconds(1);

  // After this time without an answer to a statement the connection is given up
  // (UNAVAILABLE): for a PostgreSQL that is frozen, or that waits for a standby
  // which is gone. Longer than statement_timeout, and needs a watchdog. Zero:
  // never.
  absl::Duration answer_timeout = absl::ZeroDuration();

  // What can break the connection; may be null.
  std::shared_ptr<Watchdog> watchdog;

  // Told when the connection is given up for answer_timeout: PostgreSQL may go
  // on with the statement. From the thread of the statement; may be null.
  std::function<void()> on_given_up;

  // Whether the session is still wanted, where it leads; null: always.
  std::function<bool()> wanted;

  // Whether the server is still the primary, as far as is known; null: always.
  // Where it is not, a statement with an answer_timeout is not waited for any
  // longer than a second or two. Called by any thread; must not block.
  std::function<bool()> is_primary;
};

// Makes a session whose text is UTF-8, whose times are in UTC and ISO style,
// whose commits are durable (synchronous_commit), which can write (a standby is
// UNAVAILABLE, DATABASE_READ_ONLY), and from which no row is hidden: where a
// row-level security policy would hide some, statements fail
// (FAILED_PRECONDITION). Its search path is safe, whatever was configured
// (table_names.h). Its setting kServingSetting (errors.h) is `on`, for
// statements to prove that they run in it. A pooler that gives its backend to
// others between transactions is UNAVAILABLE, POOLER_UNSUPPORTED.
// INVALID_ARGUMENT if conninfo can't be read. Blocks for up to connect_timeout
// per host.
absl::StatusOr<std::unique_ptr<Session>> Connect(const ConnectOptions& options);

// Makes a new session; called from any thread.
using SessionFactory =
    std::function<absl::StatusOr<std::unique_ptr<Session>>()>;

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_SESSION_H_
