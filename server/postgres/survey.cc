#include "server/postgres/survey.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>

#include <libpq-fe.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::postgres {
namespace {

// A host that needs longer than this to connect and answer is taken for one
// that does not answer. As long as a session waits for a connection; and as
// long as a primary that was replaced may go unnoticed.
constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr absl::Duration kLookPatience = absl::Seconds(1);

// Asks one host, without ever waiting: Step does what can be done at once.
class Asking {
 public:
  explicit Asking(const Host& host) : connection_(nullptr, &PQfinish) {
    const absl::StatusOr<std::string> conninfo = WithDefaults(
        host.conninfo, {{"fallback_application_name", "userprofile survey"}});
    connection_.reset(
        PQconnectStart(conninfo.ok() ? conninfo->c_str() : "host="));
    if (connection_ == nullptr ||
        PQstatus(connection_.get()) == CONNECTION_BAD) {
      Fail();
    } else {
      // What it says of its own accord would go to stderr.
      PQsetNoticeProcessor(
          connection_.get(), [](void*, const char*) {}, nullptr);
    }
  }

  bool done() const { return done_; }
  const HostAnswer& answer() const { return answer_; }

  // What has to happen to its socket before Step is worth calling.
  pollfd awaited() const {
    if (done_) return {-1, 0, 0};
    return {PQsocket(connection_.get()),
            static_cast<decltype(pollfd::events)>(events_), 0};
  }

  void Step() {
    if (done_) return;
    if (connecting_) {
      switch (PQconnectPoll(connection_.get())) {
        case PGRES_POLLING_READING:
          events_ = POLLIN;
          return;
        case PGRES_POLLING_WRITING:
          events_ = POLLOUT;
          return;
        case PGRES_POLLING_OK:
          connecting_ = false;
          PQsetnonblocking(connection_.get(), 1);
          Send();
          break;
        default:
          return Fail();
      }
    }
    Receive();
  }

  void GiveUp() {
    if (done_) return;
    done_ = true;
    answer_.silent = true;
    answer_.status = ConnectionLost("it does not answer");
  }

 private:
  void Send() {
    if (PQsendQuery(connection_.get(), kIdentitySql[form_]) == 0) Fail();
  }

  void Receive() {
    if (done_) return;
    const int unsent = PQflush(connection_.get());
    if (unsent < 0 || PQconsumeInput(connection_.get()) == 0) return Fail();
    events_ = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
    while (!done_ && PQisBusy(connection_.get()) == 0) {
      const std::unique_ptr<PGresult, decltype(&PQclear)> result(
          PQgetResult(connection_.get()), &PQclear);
      if (result == nullptr) {  // the first form was refused
        if (++form_ == kIdentityForms) return Fail();
        Send();
        continue;
      }
      if (PQresultStatus(result.get()) == PGRES_TUPLES_OK &&
          PQntuples(result.get()) == 1) {
        answer_.identity = IdentityOf(PQgetvalue(result.get(), 0, 0),
                                      PQgetvalue(result.get(), 0, 1),
                                      PQgetvalue(result.get(), 0, 2));
        done_ = true;
      }
    }
  }

  void Fail() {
    done_ = true;
    answer_.status = ConnectionLost(connection_ == nullptr
                                        ? "out of memory"
                                        : PQerrorMessage(connection_.get()));
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
  bool connecting_ = true;
  int events_ = POLLOUT;  // as libpq wants it at first
  int form_ = 0;
  bool done_ = false;
  HostAnswer answer_;
};

// Of hosts that are of different clusters none is used, unless it is known
// which is the right one: another server could choose another.
absl::Status CheckAgreement(const std::vector<Host>& hosts,
                            const std::vector<HostAnswer>& answers,
                            const KnownCluster& cluster) {
  if (cluster.known()) return absl::OkStatus();
  const ServerIdentity* first = nullptr;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const ServerIdentity& identity = answers[i].identity;
    if (identity.system_identifier.empty()) continue;
    if (first == nullptr) first = &identity;
    if (identity.system_identifier != first->system_identifier) {
      return base::MakeError(
          absl::StatusCode::kUnavailable,
          absl::StrCat("the hosts of the database are of different clusters: ",
                       hosts[i].name, " is of ", identity.system_identifier,
                       ", another one of ", first->system_identifier),
          v1::ERROR_REASON_WRONG_DATABASE);
    }
  }
  return absl::OkStatus();
}

// Chooses among hosts that were asked; tells `cluster` of all of them first.
absl::StatusOr<Host> Judge(const std::vector<Host>& hosts,
                           const std::vector<HostAnswer>& answers,
                           KnownCluster& cluster) {
  absl::Status failure;  // the first, or the first that has a reason
  const auto note = [&failure](const absl::Status& status) {
    if (failure.ok() || (base::ErrorReason(failure).empty() &&
                         !base::ErrorReason(status).empty())) {
      failure = status;
    }
  };
  USERPROFILE_RETURN_IF_ERROR(CheckAgreement(hosts, answers, cluster));
  // All are seen before one is chosen.
  std::vector<bool> ours(hosts.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    absl::Status status =
        answers[i].status.ok()
            ? cluster.See(answers[i].identity, hosts[i].name)
            : base::Annotate(answers[i].status,
                             absl::StrCat(hosts[i].name, ": "));
    ours[i] = status.ok();
    if (!status.ok()) note(status);
  }
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (!ours[i]) continue;
    absl::Status status =
        answers[i].identity.takes_writes
            ? cluster.Admit(answers[i].identity, hosts[i].name)
            : ReadOnly(hosts[i].name);
    if (status.ok()) return hosts[i];
    // A primary that was replaced says more than a standby.
    if (answers[i].identity.takes_writes) failure = status;
    note(status);
  }
  return failure;
}

}  // namespace

std::vector<HostAnswer> AskHosts(const std::vector<Host>& hosts,
                                 absl::Duration patience,
                                 const std::set<std::string>& not_awaited) {
  std::vector<std::unique_ptr<Asking>> askings;
  for (const Host& host : hosts) {
    askings.push_back(std::make_unique<Asking>(host));
  }
  const base::SteadyTime end = base::SteadyTime::Now() + patience;
  while (true) {
    std::vector<pollfd> sockets;
    bool awaited = false;
    bool found = false;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      const Asking& asking = *askings[i];
      if (asking.done()) {
        found = found || asking.answer().identity.takes_writes;
        continue;
      }
      sockets.push_back(asking.awaited());
      awaited = awaited || not_awaited.find(hosts[i].name) == not_awaited.end();
    }
    const absl::Duration left = end - base::SteadyTime::Now();
    if (sockets.empty() || (!awaited && found) ||
        left <= absl::ZeroDuration()) {
      break;
    }
    poll(sockets.data(), sockets.size(),
         static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    std::size_t next = 0;
    for (const auto& asking : askings) {
      if (!asking->done() && sockets[next++].revents != 0) asking->Step();
    }
  }
  std::vector<HostAnswer> answers;
  for (const auto& asking : askings) {
    asking->GiveUp();
    answers.push_back(asking->answer());
  }
  return answers;
}

absl::StatusOr<Host> Survey::FindPrimary(const std::vector<Host>& hosts,
                                         KnownCluster& cluster) {
  std::set<std::string> not_awaited;
  {
    base::MutexLock lock(mutex_);
    while (asking_) {
      const std::int64_t before = surveys_;
      const bool mine = asked_ == &cluster;
      while (surveys_ == before) changed_.Wait(mutex_);
      if (mine && surveys_ == before + 1) return found_;
    }
    asking_ = true;
    asked_ = &cluster;
    not_awaited = silent_;
  }
  const auto answers = AskHosts(hosts, kPatience, not_awaited);
  absl::StatusOr<Host> found = Judge(hosts, answers, cluster);
  base::MutexLock lock(mutex_);
  NoteSilent(hosts, answers);
  found_ = found;
  asking_ = false;
  ++surveys_;
  changed_.SignalAll();
  return found;
}

void Survey::Look(const std::vector<Host>& hosts, KnownCluster& cluster) {
  const auto answers = AskHosts(hosts, kLookPatience, {});
  // What can't be used, those who need a session will hear.
  Judge(hosts, answers, cluster).status().IgnoreError();
  base::MutexLock lock(mutex_);
  NoteSilent(hosts, answers);
}

void Survey::NoteSilent(const std::vector<Host>& hosts,
                        const std::vector<HostAnswer>& answers) {
  silent_.clear();
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (answers[i].silent) silent_.insert(hosts[i].name);
  }
}

}  // namespace userprofile::postgres
