#include "server/access/access.h"

#include <grpc/grpc_security_constants.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/read_file.h"
#include "base/status_macros.h"
#include "server/access/peer.h"
#include "spdlog/spdlog.h"

namespace userprofile::access {
namespace {

absl::Status CredentialsMissing() {
  return base::MakeError(
      absl::StatusCode::kUnauthenticated,
      "this server must know who calls: send a token as \"authorization: "
      "Bearer TOKEN\", or show a client certificate that it knows",
      v1::ERROR_REASON_CREDENTIALS_MISSING);
}

absl::Status UnknownToken() {
  return base::MakeError(absl::StatusCode::kUnauthenticated,
                         "the server does not know this token; it may have "
                         "been replaced, or not be given out yet",
                         v1::ERROR_REASON_UNKNOWN_TOKEN);
}

absl::Status MalformedAuthorization() {
  return base::MakeError(absl::StatusCode::kUnauthenticated,
                         "\"authorization\" is given once, as \"Bearer "
                         "TOKEN\"",
                         v1::ERROR_REASON_UNKNOWN_TOKEN);
}

absl::Status UnknownCertificate() {
  return base::MakeError(
      absl::StatusCode::kUnauthenticated,
      "the client certificate is trusted, but none of its names is that of a "
      "caller whom this server knows",
      v1::ERROR_REASON_UNKNOWN_CERTIFICATE);
}

absl::Status RoleMissing(const Caller& caller, const Permission& permission) {
  return base::MakeError(
      absl::StatusCode::kPermissionDenied,
      absl::StrCat("the caller ", caller.name, " has no role that may call ",
                   permission.method, "; it takes ", NamesOf(permission.roles)),
      v1::ERROR_REASON_ROLE_MISSING, {{"caller", caller.name}});
}

absl::Status TooManyAttempts() {
  return base::WithRetryDelay(
      base::MakeError(absl::StatusCode::kResourceExhausted,
                      "too many calls from this address were not let in; mend "
                      "its credentials first",
                      v1::ERROR_REASON_TOO_MANY_ATTEMPTS),
      absl::Seconds(1));
}

constexpr v1::ErrorReason kRefusals[] = {
    v1::ERROR_REASON_CREDENTIALS_MISSING, v1::ERROR_REASON_UNKNOWN_TOKEN,
    v1::ERROR_REASON_UNKNOWN_CERTIFICATE, v1::ERROR_REASON_ROLE_MISSING,
    v1::ERROR_REASON_TOO_MANY_ATTEMPTS};

absl::string_view View(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

// The views are those of the context.
Credentials CredentialsOf(const grpc::CallbackServerContext& context) {
  Credentials credentials;
  const auto& metadata = context.client_metadata();
  const auto [begin, end] = metadata.equal_range("authorization");
  for (auto it = begin; it != end; ++it) {
    credentials.authorization.push_back(View(it->second));
  }
  if (!credentials.authorization.empty()) return credentials;
  const auto connection = context.auth_context();
  if (connection == nullptr || !connection->IsPeerAuthenticated()) {
    return credentials;
  }
  for (const auto& [property, prefix] :
       {std::pair{GRPC_PEER_DNS_PROPERTY_NAME, "DNS:"},
        {GRPC_PEER_URI_PROPERTY_NAME, "URI:"}}) {
    for (const auto& value : connection->FindPropertyValues(property)) {
      credentials.sans.push_back(absl::StrCat(prefix, View(value)));
    }
  }
  // A certificate without such names is one nevertheless.
  if (credentials.sans.empty()) credentials.sans.emplace_back();
  return credentials;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Caller>> Identify(
    const Callers& callers, const Credentials& credentials) {
  if (!credentials.authorization.empty()) {
    constexpr absl::string_view kScheme = "bearer ";
    const absl::string_view value = credentials.authorization[0];
    if (credentials.authorization.size() > 1 ||
        !absl::StartsWithIgnoreCase(value, kScheme)) {
      return MalformedAuthorization();
    }
    auto caller = callers.FindByToken(value.substr(kScheme.size()));
    if (caller == nullptr) return UnknownToken();
    return caller;
  }
  for (const std::string& san : credentials.sans) {
    if (auto caller = callers.FindBySan(san)) return caller;
  }
  if (credentials.sans.empty()) return CredentialsMissing();
  return UnknownCertificate();
}

Access::Access(std::string callers_file, bool on_loopback,
               ops::Metrics& metrics)
    : callers_file_(std::move(callers_file)), on_loopback_(on_loopback) {
  for (const v1::ErrorReason reason : kRefusals) {
    const std::string name(base::ReasonName(reason));
    refused_[name] = ops::Counter(
        &metrics, "userprofile_refused_callers_total",
        "Calls that were not let in, by the reason that they were told.",
        {{"reason", name}});
  }
}

absl::StatusOr<std::unique_ptr<Access>> Access::Load(std::string callers_file,
                                                     bool on_loopback,
                                                     ops::Metrics& metrics) {
  auto access = std::unique_ptr<Access>(
      new Access(std::move(callers_file), on_loopback, metrics));
  USERPROFILE_RETURN_IF_ERROR(access->Reload().status());
  return access;
}

absl::StatusOr<bool> Access::Reload() {
  USERPROFILE_ASSIGN_OR_RETURN(std::string content,
                               base::ReadSettingsFile(callers_file_));
  {
    base::MutexLock lock(mutex_);
    if (content == content_) return false;
  }
  absl::StatusOr<Callers> callers = Callers::Parse(content);
  if (!callers.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(callers_file_, ": ", callers.status().message()));
  }
  auto shared = std::make_shared<const Callers>(*std::move(callers));
  base::MutexLock lock(mutex_);
  callers_ = std::move(shared);
  content_ = std::move(content);
  return true;
}

absl::Status Access::Admit(const grpc::CallbackServerContext& context,
                           const Permission& permission,
                           std::shared_ptr<const Caller>* caller) {
  *caller = UnknownCaller();
  if (callers_file_.empty()) {
    *caller = AnybodyTrusted();
    return absl::OkStatus();
  }
  if (permission.open == Open::kToAll ||
      (permission.open == Open::kOnLoopback && on_loopback_)) {
    return absl::OkStatus();
  }
  std::shared_ptr<const Callers> callers;
  {
    base::MutexLock lock(mutex_);
    callers = callers_;
  }
  absl::StatusOr<std::shared_ptr<const Caller>> known =
      Identify(*callers, CredentialsOf(context));
  if (!known.ok()) {
    return Refuse(context, permission, **caller, known.status());
  }
  *caller = *std::move(known);
  if ((*caller)->roles.HasAnyOf(permission.roles)) return absl::OkStatus();
  return Refuse(context, permission, **caller,
                RoleMissing(**caller, permission));
}

absl::Status Access::Refuse(const grpc::CallbackServerContext& context,
                            const Permission& permission, const Caller& caller,
                            absl::Status why) {
  const std::string peer = AddressOf(context.peer());
  if (absl::IsUnauthenticated(why) &&
      attempts_.Take(peer) > absl::ZeroDuration()) {
    why = TooManyAttempts();
  }
  const std::string reason = base::ErrorReason(why);
  if (const auto counter = refused_.find(reason); counter != refused_.end()) {
    counter->second.Increment();
  }
  if (absl::IsResourceExhausted(why)) return why;
  if (const auto held_back = log_.Admit()) {
    spdlog::warn("refused {} from {}: {}, {}{}", caller.name, peer, reason,
                 std::string(permission.method),
                 *held_back == 0 ? ""
                                 : absl::StrCat(" (", *held_back,
                                                " more not logged before)"));
  }
  return why;
}

bool IsRefusal(const absl::Status& status) {
  if (status.ok()) return false;
  const std::string its_reason = base::ErrorReason(status);
  return std::any_of(std::begin(kRefusals), std::end(kRefusals),
                     [&](v1::ErrorReason reason) {
                       return its_reason == base::ReasonName(reason);
                     });
}

}  // namespace userprofile::access
