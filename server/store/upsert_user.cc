#include "server/store/upsert_user.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"
#include "spdlog/spdlog.h"

namespace userprofile::store {
namespace {

void AppendText(bool present, const std::string& text,
                postgres::ArrayLiteral& texts) {
  if (present) {
    texts.AppendText(text);
  } else {
    texts.AppendNull();
  }
}

// Seconds since 1970, for to_timestamp, exact to the microsecond.
std::string EpochSeconds(absl::Time time) {
  const std::int64_t micros = absl::ToUnixMicros(time);
  return absl::StrCat(micros < 0 ? "-" : "", std::abs(micros / 1'000'000), ".",
                      absl::Dec(std::abs(micros % 1'000'000), absl::kZeroPad6));
}

// The statements' parameters $1 to $7; for users who are to be inserted, or
// not.
postgres::Parameters Contacts(const std::vector<UpsertUserOperation*>& contacts,
                              bool insert) {
  std::array<postgres::ArrayLiteral, 7> arrays;
  auto& [ids, usernames, first_names, last_names, languages, active, times] =
      arrays;
  for (const UpsertUserOperation* contact : contacts) {
    const v1::UpsertUserRequest& request = contact->request;
    const v1::Identity& identity = request.identity();
    ids.AppendInt64(request.user_id());
    AppendText(identity.has_username(), identity.username(), usernames);
    AppendText(identity.has_first_name(), identity.first_name(), first_names);
    AppendText(identity.has_last_name(), identity.last_name(), last_names);
    AppendText(identity.has_language_code(), identity.language_code(),
               languages);
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
  }
  postgres::Parameters parameters;
  for (auto& array : arrays) parameters.push_back(array.Finish());
  return parameters;
}

}  // namespace

UpsertUserExecutor::UpsertUserExecutor(postgres::SessionFactory connect,
                                       base::Clock clock,
                                       absl::Duration contact_interval)
    : SessionExecutor(std::move(connect)),
      clock_(std::move(clock)),
      contact_interval_(
          contact_interval > absl::ZeroDuration()
              ? absl::StrCat(absl::ToInt64Microseconds(contact_interval),
                             " microseconds")
              : "") {}

absl::Status UpsertUserExecutor::Execute(absl::Span<Operation* const> batch) {
  std::vector<UpsertUserOperation*> contacts;
  contacts.reserve(batch.size());
  for (Operation* operation : batch) {
    contacts.push_back(static_cast<UpsertUserOperation*>(operation));
  }
  // Rows are written in the order of their keys, so that batches can't
  // deadlock.
  std::sort(contacts.begin(), contacts.end(), [](const auto* a, const auto* b) {
    return a->request.user_id() < b->request.user_id();
  });
  const bool insert = std::all_of(contacts.begin(), contacts.end(),
                                  [](const auto* c) { return c->absent; });

  postgres::Parameters parameters = Contacts(contacts, insert);
  parameters.push_back(SqlTime(clock_()));
  const postgres::Statement* statement = insert ? &kInsertUsers : &kUpdateUsers;
  if (!insert && !contact_interval_.empty()) {
    statement = &kUpdateChangedUsers;
    parameters.push_back(contact_interval_);
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               Query(*statement, parameters));

  absl::flat_hash_map<std::int64_t, UpsertUserOperation*> missing;
  missing.reserve(contacts.size());
  for (UpsertUserOperation* contact : contacts) {
    missing.emplace(contact->request.user_id(), contact);
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto contact = missing.find(UserId(rows, row));
    if (contact == missing.end()) continue;
    v1::UpsertUserResponse* response = contact->second->response;
    missing.erase(contact);
    ReadProfile(rows, row, response->mutable_profile());
    response->set_created(insert);
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
      contact->again = true;
    }
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
