#include "server/postgres/errors.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace userprofile::postgres {
namespace {

constexpr char kSqlStateUrl[] = "userprofile.postgres/sqlstate";

struct Rule {
  const char* prefix;  // a class (two characters) or a whole SQLSTATE
  absl::StatusCode code;
};

// The first rule that fits decides.
constexpr Rule kRules[] = {
    {"23505", absl::StatusCode::kAlreadyExists},    // unique_violation
    {"22", absl::StatusCode::kInvalidArgument},     // data exception
    {"23", absl::StatusCode::kInvalidArgument},     // constraint violation
    {"44", absl::StatusCode::kInvalidArgument},     // WITH CHECK OPTION
    {"P0", absl::StatusCode::kInvalidArgument},     // raised by a trigger
    {"40003", absl::StatusCode::kUnavailable},      // completion unknown
    {"40", absl::StatusCode::kAborted},             // deadlock, serialization
    {"55P03", absl::StatusCode::kAborted},          // lock_timeout
    {"57014", absl::StatusCode::kAborted},          // statement_timeout
    {"3D", absl::StatusCode::kUnavailable},         // no such database (yet)
    {"3F", absl::StatusCode::kFailedPrecondition},  // no such schema
    {"42501", absl::StatusCode::kFailedPrecondition},  // right missing
    {"42703", absl::StatusCode::kFailedPrecondition},  // column missing
    {"42704", absl::StatusCode::kFailedPrecondition},  // object missing
    {"42804", absl::StatusCode::kFailedPrecondition},  // other type
    {"42883", absl::StatusCode::kFailedPrecondition},  // no such operator
    {"42P01", absl::StatusCode::kFailedPrecondition},  // table missing
    {"42P10", absl::StatusCode::kFailedPrecondition},  // no unique index
    {"42809", absl::StatusCode::kFailedPrecondition},  // not a table
    {"55000", absl::StatusCode::kFailedPrecondition},  // not updatable
    {"UP", absl::StatusCode::kFailedPrecondition},     // by our migrations
    {"08", absl::StatusCode::kUnavailable},            // connection exception
    {"25006", absl::StatusCode::kUnavailable},         // became a standby
    {"26000", absl::StatusCode::kUnavailable},         // statement forgotten
    {"0A000", absl::StatusCode::kUnavailable},         // cached plan is stale
    {"53", absl::StatusCode::kUnavailable},            // out of resources
    {"57", absl::StatusCode::kUnavailable},            // shutting down
    {"58", absl::StatusCode::kUnavailable},            // system error
    {"28", absl::StatusCode::kUnavailable},            // not authorized
    {"XX", absl::StatusCode::kAborted},                // internal error
};

}  // namespace

absl::Status ErrorFromSqlState(absl::string_view sqlstate,
                               absl::string_view message) {
  const auto* rule = std::find_if(
      std::begin(kRules), std::end(kRules),
      [&](const Rule& r) { return absl::StartsWith(sqlstate, r.prefix); });
  const absl::StatusCode code =
      rule == std::end(kRules) ? absl::StatusCode::kInternal : rule->code;
  // Messages of classes 22, 23 and P0 can quote the value at fault; a unique
  // violation's names only the index.
  const bool quotes_values = code == absl::StatusCode::kInvalidArgument;
  absl::Status status(
      code, absl::StrCat("SQLSTATE ", sqlstate, quotes_values ? "" : ": ",
                         quotes_values ? absl::string_view()
                                       : absl::StripAsciiWhitespace(message)));
  status.SetPayload(kSqlStateUrl, absl::Cord(sqlstate));
  return status;
}

absl::Status ConnectionLost(absl::string_view message) {
  return absl::UnavailableError(absl::StripAsciiWhitespace(message));
}

std::string SqlState(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kSqlStateUrl);
  return payload ? std::string(*payload) : "";
}

}  // namespace userprofile::postgres
