#include "server/postgres/errors.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/error_info.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::postgres {
namespace {

constexpr char kSqlStateUrl[] = "userprofile.postgres/sqlstate";
// To a write where there can be none.
constexpr char kReadOnly[] = "25006";

constexpr char kNotSentUrl[] = "userprofile.postgres/not-sent";

using Code = absl::StatusCode;

struct Rule {
  const char* prefix;  // a class (two characters) or a whole SQLSTATE
  Code code;
};

// The first rule that fits decides.
constexpr Rule kRules[] = {
    {"08", Code::kUnavailable},         // connection exception
    {"0A", Code::kUnimplemented},       // a view, a foreign table, rules
    {"22", Code::kInvalidArgument},     // data exception
    {"23505", Code::kAlreadyExists},    // unique_violation
    {"23", Code::kInvalidArgument},     // constraint violation
    {kReadOnly, Code::kUnavailable},    // became a standby
    {"25", Code::kInternal},            // transaction in a wrong state
    {"26000", Code::kUnavailable},      // statement forgotten
    {"28", Code::kUnavailable},         // not authorized
    {"3D", Code::kUnavailable},         // no such database (yet)
    {"3F", Code::kFailedPrecondition},  // no such schema
    {"40003", Code::kUnavailable},      // completion unknown
    {"40", Code::kAborted},             // deadlock, serialization
    {"42601", Code::kInternal},         // syntax error
    {"42", Code::kFailedPrecondition},  // what is named is missing, or other
    {"44", Code::kInvalidArgument},     // WITH CHECK OPTION
    {"53", Code::kUnavailable},         // out of resources
    {"54", Code::kInvalidArgument},     // too large, for an index say
    {"55P03", Code::kAborted},          // lock_timeout
    {"55", Code::kFailedPrecondition},  // not updatable
    {"57014", Code::kAborted},          // statement_timeout
    {"57", Code::kUnavailable},         // shutting down
    {"58", Code::kUnavailable},         // system error
    {"P0", Code::kInvalidArgument},     // raised by a trigger
    {"UP", Code::kFailedPrecondition},  // by our migrations
    {"XX", Code::kAborted},             // internal error
};

// Data exceptions quote the value at fault, triggers say what they like, and of
// what has no rule nothing is known.
bool MayQuoteValues(absl::string_view sqlstate, bool known) {
  return !known || absl::StartsWith(sqlstate, "22") ||
         absl::StartsWith(sqlstate, "P0");
}

// A setting that the session never had, or that was taken from it (it is empty
// then). Words are localized, names and values are not.
bool LacksServingSetting(absl::string_view sqlstate,
                         absl::string_view message) {
  return (sqlstate == "42704" && absl::StrContains(message, kServingSetting)) ||
         (sqlstate == "22P02" && absl::StrContains(message, "boolean") &&
          absl::StrContains(message, "\"\""));
}

absl::Status WithSqlState(absl::Status status, absl::string_view sqlstate) {
  if (!sqlstate.empty()) {
    status.SetPayload(kSqlStateUrl, absl::Cord(sqlstate));
  }
  return status;
}

}  // namespace

absl::Status ErrorFromSqlState(absl::string_view sqlstate,
                               absl::string_view message) {
  const auto* rule = std::find_if(
      std::begin(kRules), std::end(kRules),
      [&](const Rule& r) { return absl::StartsWith(sqlstate, r.prefix); });
  const bool known = rule != std::end(kRules);
  std::string text = absl::StrCat("SQLSTATE ", sqlstate);
  if (!MayQuoteValues(sqlstate, known)) {
    absl::StrAppend(&text, ": ", absl::StripAsciiWhitespace(message));
  }
  if (LacksServingSetting(sqlstate, message)) {
    return PoolerUnsupported(sqlstate);
  }
  const Code code = known ? rule->code : Code::kInternal;
  return WithSqlState(
      sqlstate == kReadOnly
          ? base::MakeError(code, text, v1::ERROR_REASON_DATABASE_READ_ONLY)
          : absl::Status(code, text),
      sqlstate);
}

absl::Status ReadOnly(absl::string_view host) {
  return ErrorFromSqlState(
      kReadOnly, absl::StrCat("the database at ", host,
                              " takes no writes: it is a standby, or was set "
                              "to default_transaction_read_only"));
}

absl::Status PoolerUnsupported(absl::string_view sqlstate) {
  return WithSqlState(
      base::MakeError(
          absl::StatusCode::kUnavailable,
          "a pooler gives each transaction another session of PostgreSQL, "
          "which the service can't work with: write pool_mode = session for "
          "this database into pgbouncer.ini, or connect to PostgreSQL directly",
          v1::ERROR_REASON_POOLER_UNSUPPORTED),
      sqlstate);
}

absl::Status ConnectionLost(absl::string_view message) {
  return absl::UnavailableError(absl::StripAsciiWhitespace(message));
}

absl::Status NotSent(absl::string_view message) {
  absl::Status status = ConnectionLost(message);
  status.SetPayload(kNotSentUrl, absl::Cord());
  return status;
}

bool MayHaveTakenEffect(const absl::Status& status) {
  const std::string sqlstate = SqlState(status);
  return absl::IsUnavailable(status) && !status.GetPayload(kNotSentUrl) &&
         (sqlstate.empty() || sqlstate == "40003" ||
          absl::StartsWith(sqlstate, "08") || absl::StartsWith(sqlstate, "57"));
}

std::string SqlState(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kSqlStateUrl);
  return payload ? std::string(*payload) : "";
}

}  // namespace userprofile::postgres
