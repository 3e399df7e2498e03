#include "server/service/caller.h"

namespace userprofile::service {

std::shared_ptr<const Caller> AnybodyTrusted() {
  static const auto& caller = *new std::shared_ptr<const Caller>(
      new Caller{"anonymous", {Role::kAdmin}, true});
  return caller;
}

std::shared_ptr<const Caller> UnknownCaller() {
  static const auto& caller =
      *new std::shared_ptr<const Caller>(new Caller{"anonymous", {}, false});
  return caller;
}

}  // namespace userprofile::service
