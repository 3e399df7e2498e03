#include "server/store/bot_sessions.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"
#include "spdlog/spdlog.h"

namespace userprofile::store {
namespace {

// What an operation weighs: as many small ones share a statement as users do,
// but not of the largest. How large one is that is read, nobody knows before.
constexpr std::size_t kBytesOfWeight = 1024;
constexpr std::size_t kWeightOfRead = 4;

// How often one that was not there may be there as it is inserted, and gone as
// it is looked for: others delete sessions, too.
constexpr int kMostRefusals = 10;

using Key = std::pair<absl::string_view, absl::string_view>;  // bot, and key

struct BotSession final : SqlOperation {
  // Sessions whose keys have the same hash wait for each other, and that is
  // all.
  BotSession(Key k, CallContext context, Done done)
      : SqlOperation(std::move(context), std::move(done),
                     static_cast<std::int64_t>(absl::HashOf(k))),
        session(k) {}

  const Key session;
  absl::optional<std::int64_t> expected_revision;

  // One of these is there: of a read, of a write, of a deletion.
  v1::GetSessionResponse* read = nullptr;
  const v1::Session* write = nullptr;
  const v1::DeleteSessionRequest* deletion = nullptr;

  v1::PutSessionResponse* written = nullptr;

  // Whether it was not there when last looked for, and how often one that was
  // not there could not be inserted either.
  bool absent = false;
  int refused = 0;
};

template <typename Request>
void Expect(const Request& request, BotSession& operation) {
  if (request.has_expected_revision()) {
    operation.expected_revision = request.expected_revision();
  }
}

using BotSessions = std::vector<BotSession*>;

// Finds the operation of each row.
class OfRows {
 public:
  explicit OfRows(const BotSessions& operations) {
    for (BotSession* one : operations) open_.emplace(one->session, one);
  }

  // Whose row that is; null if nobody's. Not found again.
  BotSession* Take(const postgres::Rows& rows, std::size_t row) {
    const auto found = open_.find(Key(rows.Text(row, 0), rows.Text(row, 1)));
    if (found == open_.end()) return nullptr;
    BotSession* one = found->second;
    open_.erase(found);
    return one;
  }

  // Those that have no row.
  const absl::flat_hash_map<Key, BotSession*>& open() const { return open_; }

 private:
  absl::flat_hash_map<Key, BotSession*> open_;
};

absl::Status ReadSessions(SessionExecutor& by, const BotSessions& reads) {
  std::vector<postgres::ArrayLiteral> arrays(2);
  for (const BotSession* one : reads) {
    arrays[0].AppendText(one->session.first);
    arrays[1].AppendText(one->session.second);
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(kGetSessions, FinishArrays(arrays)));
  OfRows of(reads);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const BotSession* one = of.Take(rows, row);
    if (one == nullptr) continue;
    one->read->Clear();
    v1::Session& session = *one->read->mutable_session();
    session.set_bot(std::string(one->session.first));
    session.set_key(std::string(one->session.second));
    session.set_value(absl::HexStringToBytes(rows.Text(row, 2)));
    session.set_revision(rows.Int64(row, 3));
    SetSeconds(rows.Double(row, 4), session.mutable_updated_at());
    if (!rows.IsNull(row, 5)) {
      SetSeconds(rows.Double(row, 5), session.mutable_expires_at());
    }
    if (!rows.IsNull(row, 6)) session.set_user_id(rows.Int64(row, 6));
  }
  if (of.open().empty()) return absl::OkStatus();
  USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
  for (const auto& [key, one] : of.open()) one->result = SessionNotFound();
  return absl::OkStatus();
}

postgres::Parameters ParametersOf(const BotSessions& operations,
                                  absl::Time now) {
  std::vector<postgres::ArrayLiteral> arrays(6);
  for (const BotSession* one : operations) {
    arrays[0].AppendText(one->session.first);
    arrays[1].AppendText(one->session.second);
    if (one->write != nullptr) {
      arrays[2].AppendText(absl::BytesToHexString(one->write->value()));
    } else {
      arrays[2].AppendNull();
    }
    if (one->write != nullptr && one->write->has_expires_at()) {
      arrays[3].AppendText(SqlTime(FromTimestamp(one->write->expires_at())));
    } else {
      arrays[3].AppendNull();
    }
    if (one->write != nullptr && one->write->has_user_id()) {
      arrays[4].AppendInt64(one->write->user_id());
    } else {
      arrays[4].AppendNull();
    }
    arrays[5].AppendInt64(one->expected_revision);
  }
  postgres::Parameters parameters = FinishArrays(arrays);
  parameters.push_back(SqlTime(now));
  return parameters;
}

void Answer(BotSession& one, std::int64_t revision, absl::Time updated_at) {
  if (one.written == nullptr) return;
  one.written->set_revision(revision);
  SetTimestamp(updated_at, one.written->mutable_updated_at());
}

// Takes down what kWriteSessions did with a session that is there.
void NoteWritten(const postgres::Rows& rows, std::size_t row, absl::Time now,
                 BotSession& one) {
  const absl::string_view verdict = rows.Text(row, 2);
  const std::int64_t stored = rows.Int64(row, 3);
  google::protobuf::Timestamp updated_at;
  SetSeconds(rows.Double(row, 5), &updated_at);
  if (verdict == "write" || verdict == "delete") {
    if (rows.Bool(row, 6)) {
      Answer(one, rows.Int64(row, 4), now);
    } else {
      one.result = RowRejected();  // a foreign trigger kept it
    }
  } else if (one.Wrote(updated_at)) {
    Answer(one, stored, FromTimestamp(updated_at));
  } else if (verdict == "revision") {
    one.result = SessionMismatch(stored);
  } else if (one.tries.empty() && !one.deletion->allow_missing()) {
    one.result = SessionNotFound();
  }
}

// Writes to sessions, and deletes them, where they are there; finds out which
// are not. Those are to be inserted, if that is what is expected.
absl::Status WriteSessions(SessionExecutor& by, const BotSessions& writes,
                           absl::Time now) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      by.Query(kWriteSessions, ParametersOf(writes, now)));
  OfRows of(writes);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    BotSession* one = of.Take(rows, row);
    if (one != nullptr) NoteWritten(rows, row, now, *one);
  }
  bool proven = false;
  for (const auto& [key, one] : of.open()) {
    if (one->write != nullptr && one->expected_revision.value_or(0) == 0) {
      one->absent = one->retry = true;
      continue;
    }
    if (!proven) USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
    proven = true;
    if (one->write != nullptr) {
      one->result = SessionMismatch(0);
    } else if (one->tries.empty() && !one->deletion->allow_missing()) {
      one->result = SessionNotFound();
    }
  }
  return absl::OkStatus();
}

// Inserts sessions that were not there; those that are by now are to be looked
// at again.
absl::Status InsertSessions(SessionExecutor& by, const BotSessions& writes,
                            absl::Time now) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      by.Query(kInsertSessions, ParametersOf(writes, now)));
  OfRows of(writes);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    BotSession* one = of.Take(rows, row);
    if (one != nullptr) Answer(*one, rows.Int64(row, 2), now);
  }
  for (const auto& [key, one] : of.open()) {
    one->absent = false;
    if (++one->refused < kMostRefusals) {
      one->retry = true;
      continue;
    }
    spdlog::error(
        "{}: a row is neither found nor inserted: a trigger or a rule of "
        "others swallows it",
        kInsertSessions.name);
    one->result = RowRejected();
  }
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Operation> MakeBotSession(const v1::GetSessionRequest& request,
                                          v1::GetSessionResponse* response,
                                          CallContext context, Done done) {
  auto operation = std::make_unique<BotSession>(
      Key(request.bot(), request.key()), std::move(context), std::move(done));
  operation->read = response;
  operation->weight = kWeightOfRead;
  return operation;
}

std::unique_ptr<Operation> MakeBotSession(const v1::PutSessionRequest& request,
                                          v1::PutSessionResponse* response,
                                          CallContext context, Done done) {
  const v1::Session& session = request.session();
  auto operation = std::make_unique<BotSession>(
      Key(session.bot(), session.key()), std::move(context), std::move(done));
  operation->write = &session;
  operation->written = response;
  operation->weight += session.value().size() / kBytesOfWeight;
  Expect(request, *operation);
  return operation;
}

std::unique_ptr<Operation> MakeBotSession(
    const v1::DeleteSessionRequest& request, CallContext context, Done done) {
  auto operation = std::make_unique<BotSession>(
      Key(request.bot(), request.key()), std::move(context), std::move(done));
  operation->deletion = &request;
  Expect(request, *operation);
  return operation;
}

absl::Status RunBotSessions(SessionExecutor& by, SessionExecutor::Batch batch,
                            absl::Time now) {
  BotSessions reads;
  BotSessions writes;
  for (Operation* operation : batch) {
    auto* one = static_cast<BotSession*>(operation);
    (one->read != nullptr ? reads : writes).push_back(one);
  }
  if (!reads.empty()) {
    for (BotSession* one : writes) one->retry = true;
    return ReadSessions(by, reads);
  }
  absl::c_sort(writes, [](const BotSession* a, const BotSession* b) {
    return a->session < b->session;
  });
  const bool insert =
      absl::c_all_of(writes, [](const auto* one) { return one->absent; });
  return insert ? InsertSessions(by, writes, now)
                : WriteSessions(by, writes, now);
}

}  // namespace userprofile::store
