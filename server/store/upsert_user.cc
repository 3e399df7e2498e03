#include "server/store/upsert_user.h"

#include <algorithm>
#include <utility>

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

using Kind = FieldUpdate::Kind;

FieldUpdate Update(bool present, const std::string& value) {
  if (!present) return {Kind::kKeep, {}};
  if (value.empty()) return {Kind::kClear, {}};
  return {Kind::kSet, value};
}

std::array<FieldUpdate, kIdentityFields> Updates(const v1::Identity& identity) {
  return {Update(identity.has_username(), identity.username()),
          Update(identity.has_first_name(), identity.first_name()),
          Update(identity.has_last_name(), identity.last_name()),
          Update(identity.has_language_code(), identity.language_code())};
}

// Seconds since 1970, for to_timestamp, exact to the microsecond.
std::string EpochSeconds(absl::Time time) {
  const std::int64_t micros = absl::ToUnixMicros(time);
  return absl::StrCat(micros < 0 ? "-" : "", std::abs(micros / 1'000'000), ".",
                      absl::Dec(std::abs(micros % 1'000'000), absl::kZeroPad6));
}

}  // namespace

UpsertUserOperation::UpsertUserOperation(const v1::UpsertUserRequest& request,
                                         v1::UpsertUserResponse* r,
                                         absl::Time now, CallContext context,
                                         Done done)
    : Operation(std::move(context), std::move(done)),
      user_id(request.user_id()),
      identity(Updates(request.identity())),
      is_active(!request.has_is_active() || request.is_active()),
      occurred_at(request.has_occurred_at()
                      ? std::min(FromTimestamp(request.occurred_at()), now)
                      : now),
      response(r) {}

UpsertUserExecutor::UpsertUserExecutor(postgres::SessionFactory connect,
                                       base::Clock clock,
                                       absl::Duration contact_interval)
    : SessionExecutor(std::move(connect)),
      clock_(std::move(clock)),
      contact_interval_(contact_interval) {}

bool UpsertUserExecutor::Agree(const UpsertUserOperation& contact,
                               NullMeanings& meanings) {
  NullMeanings agreed = meanings;
  for (std::size_t i = 0; i < kIdentityFields; ++i) {
    const Kind kind = contact.identity[i].kind;
    if (kind == Kind::kSet) continue;
    const NullMeaning meaning =
        kind == Kind::kClear ? NullMeaning::kClears : NullMeaning::kKeeps;
    if (agreed[i] == NullMeaning::kUndecided) agreed[i] = meaning;
    if (agreed[i] != meaning) return false;
  }
  meanings = agreed;
  return true;
}

void UpsertUserExecutor::BeginBatch() {
  users_.clear();
  meanings_ = {};
}

bool UpsertUserExecutor::Admit(const Operation& operation) {
  const auto& contact = static_cast<const UpsertUserOperation&>(operation);
  if (users_.contains(contact.user_id) || !Agree(contact, meanings_)) {
    return false;
  }
  users_.insert(contact.user_id);
  return true;
}

absl::Status UpsertUserExecutor::Execute(absl::Span<Operation* const> batch) {
  postgres::ArrayLiteral ids;
  std::array<postgres::ArrayLiteral, kIdentityFields> identities;
  postgres::ArrayLiteral is_active;
  postgres::ArrayLiteral occurred_at;
  NullMeanings meanings{};  // of this part of the batch
  absl::flat_hash_map<std::int64_t, UpsertUserOperation*> contact_of_user;
  contact_of_user.reserve(batch.size());
  for (Operation* operation : batch) {
    auto& contact = static_cast<UpsertUserOperation&>(*operation);
    ids.AppendInt64(contact.user_id);
    for (std::size_t i = 0; i < kIdentityFields; ++i) {
      const FieldUpdate& update = contact.identity[i];
      if (update.kind == Kind::kSet) {
        identities[i].AppendText(update.value);
      } else {
        identities[i].AppendNull();
      }
    }
    is_active.AppendBool(contact.is_active);
    occurred_at.AppendNumber(EpochSeconds(contact.occurred_at));
    Agree(contact, meanings);
    contact_of_user.emplace(contact.user_id, &contact);
  }

  postgres::Parameters parameters;
  parameters.push_back(ids.Finish());
  for (auto& literal : identities) parameters.push_back(literal.Finish());
  parameters.push_back(is_active.Finish());
  parameters.push_back(occurred_at.Finish());
  parameters.push_back(SqlTime(clock_()));
  for (const NullMeaning meaning : meanings) {
    parameters.push_back(meaning == NullMeaning::kClears ? "t" : "f");
  }
  const postgres::Statement* statement = &kUpsertUsers;
  if (contact_interval_ > absl::ZeroDuration()) {
    statement = &kUpsertChangedUsers;
    parameters.push_back(absl::StrCat(
        absl::ToInt64Microseconds(contact_interval_), " microseconds"));
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               Query(*statement, parameters));

  if (rows.size() != batch.size()) {
    // A foreign trigger or rule swallowed rows. Which ones, the keys tell.
    spdlog::error("{}: {} rows for {} contacts", statement->name, rows.size(),
                  batch.size());
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto contact = contact_of_user.find(UserId(rows, row));
    if (contact == contact_of_user.end()) continue;
    v1::UpsertUserResponse* response = contact->second->response;
    contact_of_user.erase(contact);
    ReadProfile(rows, row, response->mutable_profile());
    // Only an insertion leaves revision 1: every later write raises it, and
    // kUpsertChangedUsers writes a row that still has it.
    response->set_created(response->profile().revision() == 1);
  }
  for (const auto& [user, contact] : contact_of_user) {
    contact->result = RowRejected();
  }
  return absl::OkStatus();
}

}  // namespace userprofile::store
