#ifndef USERPROFILE_SERVER_ACCESS_CALLERS_H_
#define USERPROFILE_SERVER_ACCESS_CALLERS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/access/authorization.h"
#include "server/access/token.h"

namespace userprofile::access {

// Everybody whom the server knows, as a file of JSON says:
//
//   {"callers": [
//     {"name": "shop-bot", "roles": ["bot"],
//      "token_sha256": ["<64 hexadecimal digits>", "..."]},
//     {"name": "crm", "roles": ["reader"], "pii": true,
//      "certificate_sans": ["DNS:crm.example.org",
//                           "URI:spiffe://example.org/crm"]}
//   ]}
//
// name              1 to 63 of a-z, 0-9, ".", "_" and "-"; in logs and metrics
// roles             at least one of bot, reader, admin
// pii               whether a reader gets phone numbers and real names; false
//                   if absent; bots and admins always do, and false for them
//                   is an error
// token_sha256      the hashes of the caller's tokens: of two while a new one
//                   takes the place of an old one; a hash that is taken out
//                   ends its token
// certificate_sans  names that client certificates have in their subject
//                   alternative name, each exactly
//
// A caller without tokens and names is known but can't come in. Immutable.
class Callers {
 public:
  // INVALID_ARGUMENT, which says where and what is allowed, for what is not of
  // this form, for names of fields that are not these, and for a caller, token
  // or certificate name that is there twice.
  static absl::StatusOr<Callers> Parse(absl::string_view text);

  // Nobody, and null, if no caller has it. Compares with every token that is
  // known, in a time that does not depend on any.
  std::shared_ptr<const Caller> FindByToken(absl::string_view token) const;

  // By "DNS:..." or "URI:...".
  std::shared_ptr<const Caller> FindBySan(const std::string& san) const;

  std::size_t size() const { return names_.size(); }

 private:
  class Parser;

  struct Token {
    TokenHash hash;
    std::shared_ptr<const Caller> caller;
  };

  std::map<std::string, std::shared_ptr<const Caller>> names_;
  std::map<std::string, std::shared_ptr<const Caller>> sans_;
  std::vector<Token> tokens_;
};

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_CALLERS_H_
