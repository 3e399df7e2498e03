#include "client/command/errors.h"

#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "client/command/text.h"
#include "userprofile/client/errors.h"

namespace userprofile::command {
namespace {

// What to do here, where the service's sentence can't know it.
std::string Advice(const absl::Status& status, const std::string& reason) {
  static const auto& advice = *new std::map<std::string, const char*>{
      {"ALREADY_ONBOARDED", "change single answers with 'userprofile edit'"},
      {"CREDENTIALS_MISSING",
       "say who you are: --token-file FILE, or --tls-certificate-file and "
       "--tls-key-file; both with --tls"},
      {"NICKNAME_TAKEN", "'userprofile find NICKNAME' says who has it"},
      {"REVISION_MISMATCH",
       "look at what was written with 'userprofile get', and give the new "
       "revision to --if-revision"},
      {"ROLE_MISSING",
       "use the --token-file or the certificate of a caller who may: readers "
       "get, find, list, count and watch; bots get and edit; admins do all"},
      {"TOKEN_EXPIRED",
       "take the users anew with 'userprofile list', and watch without --from "
       "and with another --resume-file"},
      {"UNKNOWN_CERTIFICATE",
       "the callers of the server are in the file of its --callers"},
      {"UNKNOWN_TOKEN",
       "look into the file of --token-file; the callers of the server are in "
       "the file of its --callers"},
  };
  if (const auto found = advice.find(reason); found != advice.end()) {
    return found->second;
  }
  // gRPC itself ended the call.
  if (reason.empty() &&
      (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status))) {
    return "does the service listen there (--server HOST:PORT), and encrypted "
           "or not (--tls)? Wait longer with --timeout";
  }
  return "";
}

}  // namespace

std::string Explain(const absl::Status& status) {
  const std::string reason = client::Reason(status);
  std::string text = absl::StrCat(
      "userprofile: ", Printable(std::string(status.message())),
      reason.empty() ? "" : absl::StrCat(" (", Printable(reason), ")"));
  const std::string advice = Advice(status, reason);
  if (!advice.empty()) absl::StrAppend(&text, "\n  ", advice);
  return text;
}

int ExitCodeOf(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return ops::kWrongUsage;
  if (absl::IsNotFound(status)) return kNotFound;
  return ops::kFailed;
}

int Fail(const absl::Status& status) {
  std::cerr << Explain(status) << std::endl;
  return ExitCodeOf(status);
}

}  // namespace userprofile::command
