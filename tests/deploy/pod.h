#ifndef USERPROFILE_TESTS_DEPLOY_POD_H_
#define USERPROFILE_TESTS_DEPLOY_POD_H_

#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/deploy/overlay.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// A pod of an overlay, whose containers run this build's programs as the
// kubelet would run those of the image: the same command, arguments and
// environment, the same probes and signals. Only these differ, in every word
// and variable: what is mounted at /some/path is a folder of the test, and
// 0.0.0.0 is the pod's address, one of the loopback network, so that pods have
// ports of their own here as there. Not thread-safe.
class Pod {
 public:
  // The files of its volumes, by the paths that containers see. `overlay` must
  // outlive the pod. `owner` is its Deployment or Job.
  Pod(const Overlay& overlay, const nlohmann::json& owner,
      const std::map<std::string, std::string>& files);

  // 127.x.y.z
  const std::string& address() const { return address_; }

  // Starts an init container, or a container, by its name.
  std::unique_ptr<Program> Start(const std::string& container) const;

  // Runs all its init containers, then its containers, each to its end; a test
  // failure if one fails.
  void RunToCompletion() const;

  // Waits until a probe of a container says yes; a test failure if it does not.
  void AwaitProbe(const std::string& container, const std::string& probe) const;

  // What a probe says now.
  bool Probe(const std::string& container, const std::string& probe) const;

  // How long it may take to end after SIGTERM, before it gets SIGKILL.
  absl::Duration grace() const;

 private:
  const nlohmann::json& Container(const std::string& name) const;
  std::string Local(std::string text) const;

  const Overlay& overlay_;
  const nlohmann::json spec_;
  const std::string address_;
  TempDir directory_;
  std::map<std::string, std::string> folders_;  // by the path that is mounted
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_DEPLOY_POD_H_
