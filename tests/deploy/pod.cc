#include "tests/deploy/pod.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <regex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tests/support/http_client.h"

namespace userprofile::testing {
namespace {

const nlohmann::json kNone = nlohmann::json::array();

std::string RandomLoopbackAddress() {
  static std::mt19937 random{std::random_device()()};
  std::uniform_int_distribution<> part(2, 254);
  return absl::StrCat("127.", part(random), ".", part(random), ".",
                      part(random));
}

// What a container without a command runs: the image's ENTRYPOINT.
std::vector<std::string> Entrypoint() {
  std::ifstream file(USERPROFILE_SOURCE_DIR "/deploy/docker/Dockerfile");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::smatch match;
  EXPECT_TRUE(
      std::regex_search(text, match, std::regex("\nENTRYPOINT (.*)\n")));
  return nlohmann::json::parse(match[1].str());
}

}  // namespace

Pod::Pod(const Overlay& overlay, const nlohmann::json& owner,
         const std::map<std::string, std::string>& files)
    : overlay_(overlay),
      spec_(owner["spec"]["template"]["spec"]),
      address_(RandomLoopbackAddress()) {
  for (const char* kind : {"initContainers", "containers"}) {
    for (const auto& container : spec_.value(kind, kNone)) {
      for (const auto& mount : container.value("volumeMounts", kNone)) {
        const std::string path = mount["mountPath"];
        const auto [it, inserted] = folders_.try_emplace(
            path, directory_ / absl::StrCat(folders_.size()));
        if (inserted) std::filesystem::create_directory(it->second);
      }
    }
  }
  for (const auto& [path, content] : files) {
    const std::string local = Local(path);
    EXPECT_NE(local, path) << "nothing is mounted there";
    std::ofstream(local) << content;
  }
}

const nlohmann::json& Pod::Container(const std::string& name) const {
  for (const char* kind : {"initContainers", "containers"}) {
    if (!spec_.contains(kind)) continue;
    for (const auto& container : spec_[kind]) {
      if (container["name"] == name) return container;
    }
  }
  ADD_FAILURE() << "there is no container " << name;
  return kNone;
}

std::string Pod::Local(std::string text) const {
  for (const auto& [path, folder] : folders_) {
    absl::StrReplaceAll({{absl::StrCat(path, "/"), absl::StrCat(folder, "/")}},
                        &text);
  }
  absl::StrReplaceAll({{"0.0.0.0", address_}}, &text);
  return text;
}

std::unique_ptr<Program> Pod::Start(const std::string& name) const {
  const nlohmann::json& container = Container(name);
  Program::Options options;
  options.words = container.contains("command")
                      ? container["command"].get<std::vector<std::string>>()
                      : Entrypoint();
  for (const std::string word : container.value("args", kNone)) {
    options.words.push_back(Local(word));
  }
  for (const auto& [name, value] : overlay_.EnvironmentOf(container)) {
    options.environment[name] = Local(value);
  }
  return std::make_unique<Program>(std::move(options));
}

void Pod::RunToCompletion() const {
  for (const char* kind : {"initContainers", "containers"}) {
    for (const auto& container : spec_.value(kind, kNone)) {
      const auto program = Start(container["name"]);
      EXPECT_EQ(program->Wait(), 0)
          << container["name"] << ": " << program->errors();
    }
  }
}

bool Pod::Probe(const std::string& name, const std::string& probe) const {
  const nlohmann::json& container = Container(name);
  const nlohmann::json& get = container[probe]["httpGet"];
  int port = 0;
  for (const auto& candidate : container["ports"]) {
    if (candidate["name"] == get["port"]) port = candidate["containerPort"];
  }
  HttpClient client(absl::StrCat(address_, ":", port),
                    absl::Seconds(container[probe].value("timeoutSeconds", 1)));
  const int status = client.Get(get["path"].get<std::string>()).status;
  return status >= 200 && status < 400;
}

void Pod::AwaitProbe(const std::string& container,
                     const std::string& probe) const {
  EXPECT_TRUE(
      Eventually([&] { return Probe(container, probe); }, absl::Seconds(60)))
      << probe;
}

absl::Duration Pod::grace() const {
  return absl::Seconds(spec_["terminationGracePeriodSeconds"].get<int>());
}

}  // namespace userprofile::testing
