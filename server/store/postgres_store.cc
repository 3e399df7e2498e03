#include "server/store/postgres_store.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/store/bot_sessions.h"
#include "server/store/changes.h"
#include "server/store/edits.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/scans.h"
#include "server/store/session_executor.h"
#include "server/store/statements.h"
#include "server/users/columns.h"
#include "spdlog/spdlog.h"

namespace userprofile::store {
namespace {

struct ReadOperation final : SqlOperation {
  ReadOperation(ReadCall c, CallContext context, Done a)
      : SqlOperation(std::move(context), nullptr),
        call(std::move(c)),
        answer(std::move(a)) {
    weight = std::max(weight, call.user_ids.size());
  }

  ReadCall call;  // user_ids: those who are still to be found
  Done answer;    // for whoever called
};

struct FindOperation final : SqlOperation {
  FindOperation(FindCall c, CallContext context, Done done)
      : SqlOperation(std::move(context), std::move(done)), call(std::move(c)) {}

  const FindCall call;
};

struct ContactOperation final : SqlOperation {
  ContactOperation(const v1::UpsertUserRequest& q, v1::UpsertUserResponse* r,
                   CallContext context, Done done)
      : SqlOperation(std::move(context), std::move(done), q.user_id()),
        request(q),
        response(r) {}

  const v1::UpsertUserRequest& request;
  v1::UpsertUserResponse* const response;

  // Whether the user was not there when last looked for, and how often one who
  // was not there could not be inserted either.
  bool absent = false;
  int refused = 0;
};

using Batch = SessionExecutor::Batch;

// Reads the users of a batch by one statement; those who are not found stay in
// their calls' user_ids.
absl::Status RunReads(SessionExecutor& by, Batch batch) {
  const auto call_of = [](Operation* operation) -> ReadCall& {
    return static_cast<ReadOperation*>(operation)->call;
  };
  postgres::ArrayLiteral ids;
  for (Operation* operation : batch) {
    for (const std::int64_t id : call_of(operation).user_ids) {
      ids.AppendInt64(id);
    }
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(kGetProfiles, {ids.Finish()}));
  absl::flat_hash_map<std::int64_t, std::size_t> row_of_user;
  row_of_user.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    row_of_user.emplace(UserId(rows, row), row);
  }
  for (Operation* operation : batch) {
    ReadCall& call = call_of(operation);
    const auto found = [&](std::int64_t id) {
      const auto row = row_of_user.find(id);
      if (row == row_of_user.end()) return false;
      ReadProfile(rows, row->second, call.found(id));
      return true;
    };
    auto& ids_left = call.user_ids;
    ids_left.erase(std::remove_if(ids_left.begin(), ids_left.end(), found),
                   ids_left.end());
  }
  return absl::OkStatus();
}

// The same for users of whom a read found nothing: says who is not there.
absl::Status RunProvenReads(SessionExecutor& by, Batch batch) {
  USERPROFILE_RETURN_IF_ERROR(RunReads(by, batch));
  bool proven = false;
  for (Operation* operation : batch) {
    const ReadCall& call = static_cast<ReadOperation*>(operation)->call;
    if (call.user_ids.empty()) continue;
    if (!proven) USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
    proven = true;
    if (call.all_must_exist) {
      operation->result = UserNotFound(call.user_ids.front());
    }
  }
  return absl::OkStatus();
}

// Finds users by their names, by one statement for each column.
absl::Status RunFinds(SessionExecutor& by, Batch batch) {
  std::map<std::string, std::vector<FindOperation*>> by_column;
  for (Operation* operation : batch) {
    auto* find = static_cast<FindOperation*>(operation);
    by_column[find->call.column].push_back(find);
  }
  bool proven = false;
  for (const auto& [column, finds] : by_column) {
    postgres::ArrayLiteral values;
    for (const FindOperation* find : finds) values.AppendText(find->call.value);
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows rows,
        by.Query(FindBy(column),
                 {values.Finish(), absl::StrCat(1 + FindCall::kMostOthers)}));
    const int place = static_cast<int>(users::Columns().size());
    std::size_t row = 0;
    for (std::size_t i = 0; i < finds.size(); ++i) {
      const FindCall& call = finds[i]->call;
      const auto is_its = [&] {
        return row < rows.size() &&
               rows.Int64(row, place) == static_cast<std::int64_t>(i + 1);
      };
      call.profile->Clear();
      call.others->Clear();
      if (is_its()) {
        ReadProfile(rows, row++, call.profile);
        while (is_its()) call.others->Add(UserId(rows, row++));
        continue;
      }
      if (!proven) USERPROFILE_RETURN_IF_ERROR(by.ProveAbsence());
      proven = true;
      finds[i]->result = NobodyFound(column);
    }
  }
  return absl::OkStatus();
}

// Seconds since 1970, for to_timestamp, exact to the microsecond.
std::string EpochSeconds(absl::Time time) {
  const std::int64_t micros = absl::ToUnixMicros(time);
  return absl::StrCat(micros < 0 ? "-" : "", std::abs(micros / 1'000'000), ".",
                      absl::Dec(std::abs(micros % 1'000'000), absl::kZeroPad6));
}

using Contacts = std::vector<ContactOperation*>;

// The statements' arrays; for users who are to be inserted, or not.
postgres::Parameters ParametersOf(const Contacts& contacts, bool insert) {
  const auto& texts = users::IdentityTexts();
  std::vector<postgres::ArrayLiteral> arrays(1 + texts.size() + 3);
  postgres::ArrayLiteral& active = arrays[1 + texts.size()];
  postgres::ArrayLiteral& times = arrays[1 + texts.size() + 1];
  postgres::ArrayLiteral& events = arrays[1 + texts.size() + 2];
  for (const ContactOperation* contact : contacts) {
    const v1::UpsertUserRequest& request = contact->request;
    const v1::Identity& identity = request.identity();
    arrays[0].AppendInt64(request.user_id());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (users::Has(identity, texts[i].given)) {
        arrays[1 + i].AppendText(users::Text(identity, texts[i].given));
      } else {
        arrays[1 + i].AppendNull();
      }
    }
    if (insert || request.has_is_active()) {
      active.AppendBool(IsActiveIfNew(request));
    } else {
      active.AppendNull();
    }
    if (request.has_occurred_at()) {
      times.AppendNumber(EpochSeconds(FromTimestamp(request.occurred_at())));
    } else {
      times.AppendNull();
    }
    if (request.event_id().empty()) {
      events.AppendNull();
    } else {
      events.AppendText(request.event_id());
    }
  }
  return FinishArrays(arrays);
}

// The column of a row.
int AttributesPlace() {
  static const int place = static_cast<int>(&users::ColumnNamed("attributes") -
                                            users::Columns().data());
  return place;
}

// Writes the contacts of a batch, all of different users, for no statement can
// write a row twice, and every contact is to have its own effect. Updates the
// users that are known; those that were not there, or whom this contact
// created, are to be executed again, and then inserted or found. Whoever is
// there by then, for somebody else was faster, starts over. Who is missing
// twice is so because the database refuses them. `interval` is for
// kUpdateChangedUsers; empty for kUpdateUsers.
absl::Status RunContacts(SessionExecutor& by, Batch batch, absl::Time now,
                         const std::string& interval) {
  Contacts contacts;
  contacts.reserve(batch.size());
  for (Operation* operation : batch) {
    contacts.push_back(static_cast<ContactOperation*>(operation));
  }
  // Rows are written in the order of their keys, so that batches can't
  // deadlock.
  std::sort(contacts.begin(), contacts.end(), [](const auto* a, const auto* b) {
    return a->request.user_id() < b->request.user_id();
  });
  const bool insert = std::all_of(contacts.begin(), contacts.end(),
                                  [](const auto* c) { return c->absent; });

  postgres::Parameters parameters = ParametersOf(contacts, insert);
  parameters.push_back(SqlTime(now));
  const postgres::Statement* statement = insert ? &kInsertUsers : &kUpdateUsers;
  if (!insert && !interval.empty()) {
    statement = &kUpdateChangedUsers;
    parameters.push_back(interval);
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               by.Query(*statement, parameters));

  absl::flat_hash_map<std::int64_t, ContactOperation*> missing;
  missing.reserve(contacts.size());
  for (ContactOperation* contact : contacts) {
    missing.emplace(contact->request.user_id(), contact);
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto found = missing.find(UserId(rows, row));
    if (found == missing.end()) continue;
    const ContactOperation& contact = *found->second;
    missing.erase(found);
    v1::Profile* profile = contact.response->mutable_profile();
    ReadProfile(rows, row, profile);
    contact.response->set_attributes_omitted(
        !rows.IsNull(row, AttributesPlace()) && !profile->has_attributes());
    contact.response->set_created(insert ||
                                  IsRepeated(contact.request, *profile) ||
                                  contact.Wrote(profile->created_at()));
  }
  for (const auto& [user, contact] : missing) {
    contact->absent = !insert;
    if (insert && ++contact->refused > 1) {
      spdlog::error(
          "{}: a row is neither found nor inserted: a trigger or a "
          "rule of others swallows it",
          statement->name);
      contact->result = RowRejected();
    } else {
      contact->retry = true;
    }
  }
  return absl::OkStatus();
}

Lane::Options OptionsOf(const PostgresStoreOptions& options, const char* name,
                        int workers) {
  Lane::Options lane;
  static_cast<LaneOptions&>(lane) = options;
  lane.workers = workers;
  if (options.on_health) {
    lane.on_health = [report = options.on_health, name](const auto& status) {
      report(name, status);
    };
  }
  lane.metrics = LaneMetrics(options.metrics, name);
  return lane;
}

// Of a lane of one connection that bots do without: where nothing but that
// fails, the server is as ready as any other, and whoever calls is told.
Lane::Options OptionsOfExtra(const PostgresStoreOptions& options,
                             const char* name, std::size_t max_batch) {
  Lane::Options lane = OptionsOf(options, name, 1);
  lane.max_batch = std::min(lane.max_batch, max_batch);
  lane.on_health = nullptr;
  return lane;
}

// While its index is missing, a look-up reads the whole table, and those of one
// statement do so one after the other: as many as get through in time.
constexpr std::size_t kMostFinds = 8;

Lane::ExecutorFactory Executors(const PostgresStoreOptions& options,
                                SessionExecutor::Run run,
                                std::string settings = "") {
  return [&options, run = std::move(run), settings = std::move(settings)] {
    return std::make_unique<SessionExecutor>(options.connect, options.clock,
                                             run, settings);
  };
}

// For sessions of the lane of contacts.
constexpr char kRecordContacts[] = "; SET userprofile.record_contacts = on";

// As a parameter; empty for none.
std::string IntervalOf(absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return "";
  return absl::StrCat(absl::ToInt64Microseconds(duration), " microseconds");
}

}  // namespace

PostgresStore::PostgresStore(PostgresStoreOptions options)
    : record_contacts_(options.record_contacts),
      may_use_sessions_(options.may_use_sessions),
      proven_reads_(OptionsOf(options, "confirm_absence", 1),
                    Executors(options,
                              [](SessionExecutor& by, Batch batch, absl::Time) {
                                return RunProvenReads(by, batch);
                              })),
      reads_(
          OptionsOf(options, "get_profile", options.read_workers),
          Executors(options, [](SessionExecutor& by, Batch batch,
                                absl::Time) { return RunReads(by, batch); })),
      finds_(
          OptionsOfExtra(options, "lookup_profile", kMostFinds),
          Executors(options, [](SessionExecutor& by, Batch batch,
                                absl::Time) { return RunFinds(by, batch); })),
      contacts_(OptionsOf(options, "upsert_user", options.upsert_workers),
                Executors(
                    options,
                    [interval = IntervalOf(options.contact_interval)](
                        SessionExecutor& by, Batch batch, absl::Time now) {
                      return RunContacts(by, batch, now, interval);
                    },
                    options.record_contacts ? kRecordContacts : "")),
      edits_(OptionsOf(options, "edit_user", options.edit_workers),
             Executors(options, RunEdits)),
      // One part of the table at a time, whoever asked for it.
      scans_(OptionsOfExtra(options, "list_profiles", 1),
             Executors(options, RunScans, kScanSettings)),
      changes_(OptionsOfExtra(options, "watch_profiles", 1),
               Executors(options, RunScans, ChangesSettings())),
      sessions_(OptionsOfExtra(options, "sessions", options.max_batch),
                Executors(options, RunBotSessions)) {}

void PostgresStore::Read(ReadCall call, CallContext context, Done done) {
  auto operation = std::make_unique<ReadOperation>(
      std::move(call), std::move(context), std::move(done));
  operation->done = [this, read = operation.get()](absl::Status status) {
    if (!status.ok() || read->call.user_ids.empty()) {
      return read->answer(std::move(status));
    }
    auto proven = std::make_unique<ReadOperation>(
        std::move(read->call), read->context, std::move(read->answer));
    proven->done = std::move(proven->answer);
    proven->submitted = read->submitted;
    proven_reads_.Submit(std::move(proven));
  };
  reads_.Submit(std::move(operation));
}

void PostgresStore::Find(FindCall call, CallContext context, Done done) {
  finds_.Submit(std::make_unique<FindOperation>(
      std::move(call), std::move(context), std::move(done)));
}

void PostgresStore::Contact(const v1::UpsertUserRequest& request,
                            v1::UpsertUserResponse* response,
                            CallContext context, Done done) {
  contacts_.Submit(std::make_unique<ContactOperation>(
      request, response, std::move(context), std::move(done)));
}

void PostgresStore::Edit(EditCall call, CallContext context, Done done) {
  edits_.Submit(MakeEdit(std::move(call), std::move(context), std::move(done)));
}

void PostgresStore::Delete(DeleteCall call, CallContext context, Done done) {
  if (!may_use_sessions_()) return done(SessionsUnavailable());
  edits_.Submit(MakeEdit(call, std::move(context), std::move(done)));
}

void PostgresStore::Scan(ScanCall call, CallContext context, Done done) {
  scans_.Submit(MakeScan(call, std::move(context), std::move(done)));
}

void PostgresStore::ReadTokenKey(std::string* key, CallContext context,
                                 Done done) {
  {
    base::MutexLock lock(token_key_mutex_);
    *key = token_key_;
  }
  if (!key->empty()) return done(absl::OkStatus());
  scans_.Submit(MakeTokenKeyRead(
      key, std::move(context),
      [this, key, done = std::move(done)](absl::Status read) mutable {
        if (read.ok()) {
          base::MutexLock lock(token_key_mutex_);
          token_key_ = *key;
        }
        done(std::move(read));
      }));
}

void PostgresStore::ReadChanges(ChangesCall call, CallContext context,
                                Done done) {
  if (call.include_contacts && !record_contacts_) {
    return done(ContactsNotRecorded());
  }
  changes_.Submit(std::make_unique<ScanOperation>(
      [call = std::move(call)](SessionExecutor& by, absl::Status& result) {
        return RunChanges(by, call, result);
      },
      std::move(context), std::move(done)));
}

void PostgresStore::GetSession(const v1::GetSessionRequest& request,
                               v1::GetSessionResponse* response,
                               CallContext context, Done done) {
  if (!may_use_sessions_()) return done(SessionsUnavailable());
  sessions_.Submit(
      MakeBotSession(request, response, std::move(context), std::move(done)));
}

void PostgresStore::PutSession(const v1::PutSessionRequest& request,
                               v1::PutSessionResponse* response,
                               CallContext context, Done done) {
  if (!may_use_sessions_()) return done(SessionsUnavailable());
  sessions_.Submit(
      MakeBotSession(request, response, std::move(context), std::move(done)));
}

void PostgresStore::DeleteSession(const v1::DeleteSessionRequest& request,
                                  v1::DeleteSessionResponse* /*response*/,
                                  CallContext context, Done done) {
  if (!may_use_sessions_()) return done(SessionsUnavailable());
  sessions_.Submit(
      MakeBotSession(request, std::move(context), std::move(done)));
}

absl::Status PostgresStore::Late(Verb verb) const {
  switch (verb) {
    case Verb::kFind:
      return finds_.Late();
    case Verb::kContact:
      return contacts_.Late();
    case Verb::kEdit:
      return edits_.Late();
    case Verb::kScan:
      return scans_.Late();
    case Verb::kSession:
      return sessions_.Late();
    case Verb::kRead:
      break;
  }
  absl::Status late = reads_.Late();
  return absl::IsUnavailable(late) ? late : proven_reads_.Late();
}

void PostgresStore::Shutdown(base::SteadyTime deadline) {
  reads_.Shutdown(deadline);
  proven_reads_.Shutdown(deadline);  // reads may have led there
  finds_.Shutdown(deadline);
  contacts_.Shutdown(deadline);
  edits_.Shutdown(deadline);
  scans_.Shutdown(deadline);
  changes_.Shutdown(deadline);
  sessions_.Shutdown(deadline);
}

}  // namespace userprofile::store
