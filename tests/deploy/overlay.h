#ifndef USERPROFILE_TESTS_DEPLOY_OVERLAY_H_
#define USERPROFILE_TESTS_DEPLOY_OVERLAY_H_

#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace userprofile::testing {

// The objects of an overlay of deploy/kubernetes, as kubectl renders them. What
// goes wrong is a test failure.
class Overlay {
 public:
  // Whether this machine has a kubectl that can render.
  static bool CanRender();

  explicit Overlay(const std::string& name);

  // The object whose name is `name`, or begins with it and a hash.
  const nlohmann::json& Find(const std::string& kind,
                             const std::string& name) const;

  // The environment of a container: names and values.
  std::map<std::string, std::string> EnvironmentOf(
      const nlohmann::json& container) const;

 private:
  std::vector<nlohmann::json> objects_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_DEPLOY_OVERLAY_H_
