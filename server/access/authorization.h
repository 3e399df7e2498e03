#ifndef USERPROFILE_SERVER_ACCESS_AUTHORIZATION_H_
#define USERPROFILE_SERVER_ACCESS_AUTHORIZATION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/access/caller.h"

namespace userprofile::access {

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
