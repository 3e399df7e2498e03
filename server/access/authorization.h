#ifndef USERPROFILE_SERVER_ACCESS_AUTHORIZATION_H_
#define USERPROFILE_SERVER_ACCESS_AUTHORIZATION_H_

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::access {

// Some of the roles of annotations.proto.
class Roles {
 public:
  constexpr Roles(std::initializer_list<v1::Role> roles) {
    for (const v1::Role role : roles) Add(role);
  }

  constexpr void Add(v1::Role role) {
    bits_ |= 1U << static_cast<unsigned>(role);
  }

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Has(v1::Role role) const { return HasAnyOf({role}); }
  constexpr bool HasAnyOf(Roles others) const {
    return (bits_ & others.bits_) != 0;
  }

 private:
  unsigned bits_ = 0;
};

// "bot, reader".
std::string NamesOf(Roles roles);

// The role of that name; nullopt if there is none.
absl::optional<v1::Role> ParseRole(absl::string_view name);

// Who calls.
struct Caller {
  // Unique among callers and fit for logs and metrics; "anonymous" for one that
  // is not known.
  std::string name;

  Roles roles = {};

  // Whether the caller gets phone numbers and real names.
  bool pii = false;
};

// Everybody, where the server does not ask who calls: may do everything.
std::shared_ptr<const Caller> AnybodyTrusted();

// A caller that the server does not know: has no role.
std::shared_ptr<const Caller> UnknownCaller();

// Who needs no role for a method.
enum class Open {
  kToNobody,
  kOnLoopback,  // everybody, if only this machine can reach the server
  kToAll,       // everybody
};

// Who may call one method.
struct Permission {
  std::string method;  // "/userprofile.v1.UserProfileService/GetProfile"
  Roles roles;         // any one of these is enough
  Open open = Open::kToNobody;
};

// Who may call what: every method of every service in proto/, or a test fails.
// Of our own service the API file says it (annotations.proto).
const std::vector<Permission>& Permissions();

// The permission of a method; null if the table has none.
const Permission* FindPermission(absl::string_view method);

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_AUTHORIZATION_H_
