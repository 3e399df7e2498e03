#include "server/postgres/session.h"

#include <poll.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include <pqxx/pqxx>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/errors.h"
#include "server/postgres/pooler.h"
#include "server/postgres/table_names.h"
#include "server/postgres/watchdog.h"
#include "spdlog/spdlog.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::postgres {
namespace {

// Settings go by statement, not by connection string: poolers refuse unknown
// start-up options, and a session never reconnects behind our back. The path
// goes first, so that all after it is PostgreSQL's own.
constexpr char kConfigureFormat[] =
    "SET search_path = %s; SELECT current_setting('transaction_read_only'), "
    "pg_backend_pid(),"
    " set_config('%s', 'on', false),"
    " set_config('client_encoding', 'UTF8', false),"
    // What the database's own settings could make of our SQL.
    " set_config('standard_conforming_strings', 'on', false),"
    " set_config('array_nulls', 'on', false),"
    " set_config('default_transaction_isolation', 'read committed', false),"
    " set_config('quote_all_identifiers', 'off', false),"
    " set_config('row_security', 'off', false),"
    " set_config('timezone', 'UTC', false),"
    " set_config('datestyle', 'ISO', false),"
    " set_config('extra_float_digits', '1', false),"
    // A commit that reached no standby says so in a warning.
    " set_config('client_min_messages', 'warning', false),"
    " set_config('statement_timeout', '%d', false),"
    " set_config('lock_timeout', '%d', false),"
    " set_config('synchronous_commit',"
    " CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')"
    " THEN 'on' ELSE current_setting('synchronous_commit') END, false)";

// Where the path that was configured leads, of which only PostgreSQL knows what
// it means. On it, names in full only, and no operator. What is found is kept
// in settings until the path is safe again.
constexpr char kFindTablesFormat[] =
    "RESET search_path;"
    " SELECT pg_catalog.set_config('userprofile.users',"
    "  pg_catalog.to_regclass('users')::pg_catalog.oid::pg_catalog.text,"
    "  false),"
    " pg_catalog.set_config('userprofile.history',"
    "  pg_catalog.to_regclass('userprofile_migrations')"
    "   ::pg_catalog.oid::pg_catalog.text, false),"
    " pg_catalog.set_config('userprofile.new_tables',"
    "  pg_catalog.current_schema()::pg_catalog.text, false),"
    " pg_catalog.set_config('%s',"
    "  pg_catalog.current_schemas(false)::pg_catalog.text, false);"
    " SET search_path = %s;"
    " SELECT coalesce((SELECT relnamespace::regnamespace::text FROM pg_class"
    "  WHERE oid = nullif(current_setting('userprofile.users'), '')::oid),"
    " (SELECT relnamespace::regnamespace::text FROM pg_class"
    "  WHERE oid = nullif(current_setting('userprofile.history'), '')::oid),"
    " quote_ident(nullif(current_setting('userprofile.new_tables'), '')))";

// PostgreSQL would not look whether we are still there while a statement runs
// or waits: it would hold its locks for nobody. From version 14 on.
constexpr char kGiveUpWithUs[] = "SET client_connection_check_interval = '2s'";

#if PQXX_VERSION_MAJOR < 7

void Configure(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
  connection.set_verbosity(pqxx::connection_base::terse);
}

pqxx::result Run(pqxx::transaction_base& transaction, const char* name,
                 const Parameters& parameters) {
  std::vector<const char*> values(parameters.size());
  std::transform(parameters.begin(), parameters.end(), values.begin(),
                 [](const auto& p) { return p ? p->c_str() : nullptr; });
  return transaction.exec_prepared(name,
                                   pqxx::prepare::make_dynamic_params(values));
}

// Keeps a connection's notices, which would go to stderr, and notes that there
// were some. Must not outlive the connection.
class NoticeWatch final : public pqxx::errorhandler {
 public:
  NoticeWatch(pqxx::connection& connection, bool* noticed)
      : errorhandler(connection), noticed_(noticed) {}

  bool operator()(const char[]) noexcept override {
    *noticed_ = true;
    return false;  // nobody else is told
  }

 private:
  bool* const noticed_;
};

#else

void Configure(pqxx::connection& connection) {
  connection.set_verbosity(pqxx::error_verbosity::terse);
}

pqxx::result Run(pqxx::transaction_base& transaction, const char* name,
                 const Parameters& parameters) {
  pqxx::params values;
  values.reserve(parameters.size());
  for (const auto& p : parameters) {
    values.append(p ? p->c_str() : nullptr);
  }
  return transaction.exec(pqxx::prepped{name}, values);
}

class NoticeWatch {
 public:
  NoticeWatch(pqxx::connection& connection, bool* noticed) {
    connection.set_notice_handler([noticed](auto) { *noticed = true; });
  }
};

#endif

// A transaction that only has an id writes nothing, and so waits for nobody; a
// message that nobody decodes is the least that does write.
constexpr Statement kConfirm = {
    "confirm_primary",
    "SELECT pg_catalog.pg_logical_emit_message(true, 'userprofile', '')"};

// What a statement is told whose columns have other types than when it was
// prepared, "cached plan must not change result type"; but also one that needs
// what PostgreSQL can't do.
constexpr char kStalePlan[] = "0A000";

// What is said where a table or a schema is not there.
bool MeansOtherTables(absl::string_view sqlstate) {
  return sqlstate == "42P01" || sqlstate == "3F000";
}

// A statement that was prepared is not there, or one is that was not: what a
// pooler makes of sessions.
bool MeansOtherBackend(absl::string_view sqlstate) {
  return sqlstate == "26000" || sqlstate == "42P05";
}

// Runs `body`, which calls the driver, and turns what it throws into a status.
// What the driver throws says little about the connection: `connected` does.
template <typename Body, typename Connected>
absl::Status Guard(Body body, Connected connected) {
  try {
    body();
    return absl::OkStatus();
  } catch (const pqxx::deadlock_detected& e) {
    return ErrorFromSqlState("40P01", e.what());  // 6.4 knows no SQLSTATE here
  } catch (const pqxx::serialization_failure& e) {
    return ErrorFromSqlState("40001", e.what());
  } catch (const pqxx::statement_completion_unknown& e) {
    return ErrorFromSqlState("40003", e.what());
  } catch (const pqxx::transaction_rollback& e) {
    return ErrorFromSqlState("40000", e.what());
  } catch (const pqxx::broken_connection& e) {
    return ConnectionLost(e.what());
  } catch (const pqxx::in_doubt_error& e) {
    return ConnectionLost(e.what());
  } catch (const pqxx::insufficient_privilege& e) {
    return ErrorFromSqlState(kInsufficientPrivilege, e.what());  // nor here
  } catch (const pqxx::sql_error& e) {
    if (!connected() || e.sqlstate().empty()) return ConnectionLost(e.what());
    return ErrorFromSqlState(e.sqlstate(), e.what());
  } catch (const std::exception& e) {
    return connected() ? absl::InternalError(e.what())
                       : ConnectionLost(e.what());
  }
}

class PqxxSession final : public Session {
 public:
  PqxxSession(const std::string& conninfo, const ConnectOptions& options)
      : connection_(conninfo),
        socket_(connection_.sock(), options.watchdog, options.is_primary),
        answer_timeout_(options.answer_timeout),
        wanted_(options.wanted),
        on_given_up_(options.on_given_up) {
    Configure(connection_);
  }

  // Its backend says that this is its process id. If libpq was told another,
  // it talks to a pooler. Whether it does.
  bool NoteBackend(absl::string_view pid) {
    pooled_ = pid != absl::StrCat(connection_.backendpid());
    return pooled_;
  }

  absl::StatusOr<Rows> Execute(const Statement& statement,
                               const Parameters& parameters) override {
    for (const auto& p : parameters) {
      if (p && base::HoldsNul(*p)) {
        return absl::InvalidArgumentError("a parameter holds a NUL byte");
      }
    }
    USERPROFILE_RETURN_IF_ERROR(KnowTables(statement.sql));
    const bool first = !prepared_.contains(statement.name);
    absl::StatusOr<Rows> rows = RunPrepared(statement, parameters);
    if (rows.ok()) {
      refused_.erase(statement.name);
    } else if (!first && SqlState(rows.status()) == kStalePlan &&
               !refused_.contains(statement.name) &&
               Forget(statement.name).ok()) {
      rows = RunPrepared(statement, parameters);
      // The plan is new: it is the statement itself that is refused.
      if (SqlState(rows.status()) == kStalePlan) {
        refused_.insert(statement.name);
      }
    }
    return rows;
  }

  absl::StatusOr<Rows> ExecuteScript(absl::string_view sql) override {
    if (base::HoldsNul(sql)) {
      return absl::InvalidArgumentError("the script holds a NUL byte");
    }
    USERPROFILE_RETURN_IF_ERROR(KnowTables(sql));
    return Query("script", [&](pqxx::nontransaction& transaction) {
      return transaction.exec(NameTables(sql, schema_.value_or("")));
    });
  }

  absl::StatusOr<std::string> FindTables() override {
    USERPROFILE_ASSIGN_OR_RETURN(
        const Rows rows,
        Query("find_tables", [](pqxx::nontransaction& transaction) {
          return transaction.exec(absl::StrFormat(
              kFindTablesFormat, kSchemasSetting, kSafeSearchPath));
        }));
    std::string schema(rows.Text(0, 0));
    lost_tables_ = false;
    if (schema_ == schema) return schema;
    const std::set<std::string> prepared = prepared_;
    for (const std::string& name : prepared) {
      USERPROFILE_RETURN_IF_ERROR(Forget(name.c_str()));
    }
    schema_ = schema;
    return schema;
  }

  bool healthy() override { return !lost() && (!wanted_ || wanted_()); }

  bool lost() override {
    lost_ = lost_ || !connection_.is_open() || LostWhileIdle();
    return lost_;
  }

 private:
  // Where they are, if a statement needs that and it is not known.
  absl::Status KnowTables(absl::string_view sql) {
    if (schema_.has_value() && !lost_tables_) return absl::OkStatus();
    if (NameTables(sql, "") == sql) return absl::OkStatus();
    return FindTables().status();
  }

  absl::StatusOr<Rows> RunPrepared(const Statement& statement,
                                   const Parameters& parameters) {
    return Query(statement.name, [&](pqxx::nontransaction& transaction) {
      if (!prepared_.contains(statement.name)) {
        connection_.prepare(statement.name,
                            NameTables(statement.sql, schema_.value_or("")));
        prepared_.insert(statement.name);
      }
      return Run(transaction, statement.name, parameters);
    });
  }

  // Not in a transaction that failed, and so can't go on.
  absl::Status Forget(const char* name) {
    return Guard(
        [&] {
          connection_.unprepare(name);
          prepared_.erase(name);
        },
        [&] { return connection_.is_open(); });
  }

  // Runs `body`, which sends a statement, and proves what it committed.
  template <typename Body>
  absl::StatusOr<Rows> Query(const char* name, Body body) {
    absl::StatusOr<Rows> rows = Send(name, body);
    if (!rows.ok() || !noticed_) return rows;
    // PostgreSQL says OK with a warning when somebody cancels the wait for the
    // synchronous standby, so the write may be on this server only. What the
    // warning says can't be told from any other's, a trigger's say. But the
    // log is linear: if a later commit arrives there, this one has, too.
    absl::Status proof = Send(kConfirm.name, [&](auto& transaction) {
                           return transaction.exec(kConfirm.sql);
                         }).status();
    if (proof.ok() && !noticed_) {
      if (!std::exchange(told_of_warnings_, true)) {
        spdlog::warn(
            "PostgreSQL has a warning for the statement {}: each such costs a "
            "commit that shows that the standby has what it wrote",
            name);
      }
      return rows;
    }
    lost_ = true;
    return base::MakeError(
        absl::StatusCode::kUnavailable,
        absl::StrCat(name,
                     ": committed with a warning, and nothing shows that "
                     "a standby has it",
                     proof.ok() ? "" : ": ", proof.message()),
        v1::ERROR_REASON_REPLICATION_STALLED);
  }

  // Afterwards `noticed_` says whether it came with a warning.
  template <typename Body>
  absl::StatusOr<Rows> Send(const char* name, Body body) {
    if (lost()) return NotSent("the session is closed");
    Rows rows;
    noticed_ = false;
    absl::Status status = Guard(
        [&] {
          socket_.Limit(answer_timeout_);
          const absl::Cleanup answered = [this] {
            socket_.Limit(absl::ZeroDuration());
          };
          pqxx::nontransaction transaction(connection_);
          rows = Rows(body(transaction));
        },
        [&] { return connection_.is_open(); });
    if (status.ok()) return rows;
    if (pooled_ && MeansOtherBackend(SqlState(status))) {
      status = PoolerUnsupported(SqlState(status));
    }
    if (socket_.given_up() && !lost_ && on_given_up_) on_given_up_();
    // Also where the server is alive but can't be used any more, as a primary
    // that became a standby: a fresh connection may find a better one.
    if (absl::IsUnavailable(status)) lost_ = true;
    lost_tables_ = lost_tables_ || MeansOtherTables(SqlState(status));
    return base::Annotate(status, absl::StrCat(name, ": "));
  }

  // A server that goes away says so, or just closes the connection: either way
  // there is something to read although nothing was asked. libpq takes what it
  // says for a notice, and the connection for open until the socket is closed,
  // which is a little later.
  bool LostWhileIdle() {
    constexpr int kMessages = 8;  // more than a server says unasked
    noticed_ = false;
    for (int i = 0; i < kMessages; ++i) {
      pollfd idle = {connection_.sock(), POLLIN, 0};
      if (poll(&idle, 1, 0) <= 0) return noticed_;
      const absl::Status read = Guard([&] { connection_.get_notifs(); },
                                      [&] { return connection_.is_open(); });
      if (!read.ok() || !connection_.is_open()) return true;
    }
    return true;
  }

  pqxx::connection connection_;
  Watchdog::Socket socket_;
  const absl::Duration answer_timeout_;
  const std::function<bool()> wanted_;
  const std::function<void()> on_given_up_;
  bool pooled_ = false;
  bool noticed_ = false;
  const NoticeWatch notice_watch_{connection_, &noticed_};
  absl::optional<std::string> schema_;  // of the tables; quoted, or empty
  bool lost_tables_ = false;  // something was not there: they may be elsewhere
  std::set<std::string> prepared_;
  std::set<std::string> refused_;  // of these, and not for a stale plan
  bool lost_ = false;
  bool told_of_warnings_ = false;
};

// What bounds the time that a dead network can cost, and who we are.
std::vector<std::pair<std::string, std::string>> Defaults(
    const ConnectOptions& options) {
  return {
      {"connect_timeout",
       absl::StrCat(absl::ToInt64Seconds(options.connect_timeout))},
      {"tcp_user_timeout",
       absl::StrCat(absl::ToInt64Milliseconds(options.statement_timeout * 2))},
      {"keepalives_idle", "5"},
      {"keepalives_interval", "2"},
      {"keepalives_count", "3"},
      {"fallback_application_name", "userprofile"},
      {"target_session_attrs", "read-write"},
  };
}

// A session that is configured, and what that says: whether it is read-only,
// and its process id.
absl::StatusOr<std::unique_ptr<PqxxSession>> Open(const std::string& conninfo,
                                                  const ConnectOptions& options,
                                                  Rows& settings) {
  std::unique_ptr<PqxxSession> session;
  USERPROFILE_RETURN_IF_ERROR(
      Guard([&] { session = std::make_unique<PqxxSession>(conninfo, options); },
            [] { return false; }));
  USERPROFILE_ASSIGN_OR_RETURN(
      settings, session->ExecuteScript(absl::StrFormat(
                    kConfigureFormat, kSafeSearchPath, kServingSetting,
                    absl::ToInt64Milliseconds(options.statement_timeout),
                    absl::ToInt64Milliseconds(options.lock_timeout))));
  return session;
}

// A second one, beside one that a pooler stands behind: which may let it wait
// until another session ends.
absl::StatusOr<std::unique_ptr<Session>> OpenSecond(const std::string& conninfo,
                                                    ConnectOptions options) {
  if (options.watchdog == nullptr) {
    options.watchdog = std::make_shared<Watchdog>();
  }
  options.answer_timeout = options.connect_timeout;
  options.on_given_up = nullptr;
  Rows settings;
  return Open(conninfo, options, settings);
}

}  // namespace

absl::Status InTransaction(Session& session,
                           absl::FunctionRef<absl::Status()> body) {
  USERPROFILE_RETURN_IF_ERROR(session.ExecuteScript("BEGIN").status());
  absl::Status status = body();
  if (status.ok()) {
    // COMMIT of a transaction in which a statement failed is a rollback that
    // reports success; the SELECT is refused there.
    status = session.ExecuteScript("SELECT 1; COMMIT").status();
  }
  if (!status.ok()) session.ExecuteScript("ROLLBACK").status().IgnoreError();
  return status;
}

absl::Status ConfirmPrimary(Session& session) {
  return session.Execute(kConfirm, {}).status();
}

absl::StatusOr<std::unique_ptr<Session>> Connect(
    const ConnectOptions& options) {
  USERPROFILE_ASSIGN_OR_RETURN(const std::vector<Host> hosts,
                               HostsOf(options.conninfo));
  // Of one host we find out ourselves whether it takes writes, and can say so.
  const bool one = hosts.size() == 1;
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::string conninfo,
      WithDefaults(one ? hosts[0].conninfo : options.conninfo,
                   Defaults(options)));
  Rows settings;
  USERPROFILE_ASSIGN_OR_RETURN(std::unique_ptr<PqxxSession> session,
                               Open(conninfo, options, settings));
  if (settings.Text(0, 0) == "on") {
    return ReadOnly(one ? hosts[0].name : "one of the hosts");
  }
  const std::string pid(settings.Text(0, 1));
  if (session->NoteBackend(pid)) {
    USERPROFILE_RETURN_IF_ERROR(CheckPooler(
        *session, pid, [&] { return OpenSecond(conninfo, options); }));
  }
  if (options.answer_timeout == absl::ZeroDuration()) {
    session->ExecuteScript(kGiveUpWithUs).status().IgnoreError();
  }
  return session;
}

}  // namespace userprofile::postgres
