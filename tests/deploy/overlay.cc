#include "tests/deploy/overlay.h"

#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

// kubectl makes JSON of what it renders when it has something to change.
Outcome Render(const std::string& overlay) {
  return RunProgram(
      {{"/bin/bash", "-c",
        absl::StrCat("set -o pipefail; kubectl kustomize "
                     "'" USERPROFILE_SOURCE_DIR "/deploy/kubernetes/overlays/",
                     overlay,
                     "' | kubectl annotate --local -f - "
                     "userprofile-test=1 -o json")}});
}

}  // namespace

bool Overlay::CanRender() {
  return RunProgram({{"/bin/bash", "-c",
                      "kubectl version --client --output=json | "
                      "grep -q '\"kustomizeVersion\": \"v[5-9]'"}})
             .exit_code == 0;
}

Overlay::Overlay(const std::string& name) {
  const Outcome rendered = Render(name);
  EXPECT_EQ(rendered.exit_code, 0) << rendered.errors;
  std::istringstream text(rendered.output);
  while (text >> std::ws && !text.eof()) text >> objects_.emplace_back();
}

const nlohmann::json& Overlay::Find(const std::string& kind,
                                    const std::string& name) const {
  static const nlohmann::json nothing = nlohmann::json::object();
  for (const nlohmann::json& object : objects_) {
    const std::string found = object["metadata"]["name"];
    const bool hashed = kind == "ConfigMap" || kind == "Secret";
    if (object["kind"] == kind &&
        (found == name || (hashed && found.size() == name.size() + 11 &&
                           absl::StartsWith(found, absl::StrCat(name, "-"))))) {
      return object;
    }
  }
  ADD_FAILURE() << "there is no " << kind << " " << name;
  return nothing;
}

std::map<std::string, std::string> Overlay::EnvironmentOf(
    const nlohmann::json& container) const {
  std::map<std::string, std::string> environment;
  for (const auto& from : container.value("envFrom", nlohmann::json::array())) {
    const nlohmann::json& map = Find("ConfigMap", from["configMapRef"]["name"]);
    for (const auto& [name, value] : map["data"].items()) {
      environment[name] = value;
    }
  }
  for (const auto& variable : container.value("env", nlohmann::json::array())) {
    environment[variable["name"]] = variable["value"];
  }
  return environment;
}

}  // namespace userprofile::testing
