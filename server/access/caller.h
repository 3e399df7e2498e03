#ifndef USERPROFILE_SERVER_ACCESS_CALLER_H_
#define USERPROFILE_SERVER_ACCESS_CALLER_H_

#include <initializer_list>
#include <memory>
#include <string>

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

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_CALLER_H_
