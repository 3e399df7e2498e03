#ifndef USERPROFILE_SERVER_SERVICE_CALLER_H_
#define USERPROFILE_SERVER_SERVICE_CALLER_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

namespace userprofile::service {

// What a caller is to the service. authorization.h says what each may call.
enum class Role : std::uint8_t {
  kBot,     // talks with users
  kReader,  // looks users up
  kAdmin,   // may do everything
};

// Some of the roles.
class Roles {
 public:
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) Add(role);
  }

  constexpr void Add(Role role) { bits_ |= 1U << static_cast<unsigned>(role); }

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Has(Role role) const { return HasAnyOf({role}); }
  constexpr bool HasAnyOf(Roles others) const {
    return (bits_ & others.bits_) != 0;
  }

 private:
  unsigned bits_ = 0;
};

// "bot, reader".
std::string NamesOf(Roles roles);

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

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_CALLER_H_
