// The dashboard and the alerts ask for metrics that a server has, with labels
// and values that it gives them: Prometheus answers a query that is misspelt
// with nothing, which looks as if all were well.

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The values of each label of each metric.
using Metrics =
    std::map<std::string, std::map<std::string, std::set<std::string>>>;

// Prometheus puts these on everything that it scrapes.
const std::set<std::string> kTargetLabels = {"instance", "job", "namespace"};

std::string ReadFile(const std::string& name) {
  std::ifstream file(
      absl::StrCat(USERPROFILE_SOURCE_DIR "/deploy/observability/", name));
  EXPECT_TRUE(file.good()) << name;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// All matches of an expression, each with its groups.
std::vector<std::smatch> Matches(const std::string& text,
                                 const std::string& expression) {
  const std::regex regex(expression);
  return {std::sregex_iterator(text.begin(), text.end(), regex),
          std::sregex_iterator()};
}

std::vector<std::string> Split(const std::string& text,
                               const std::string& separators) {
  return absl::StrSplit(text, absl::ByAnyChar(separators), absl::SkipEmpty());
}

Metrics ParseMetrics(const std::string& page) {
  Metrics metrics;
  for (const std::string& line : Split(page, "\n")) {
    std::smatch sample;
    if (!std::regex_match(line, sample,
                          std::regex(R"((\w+)(\{.*\})? [^ ]+)"))) {
      continue;
    }
    auto& labels = metrics[sample[1]];
    const std::string text = sample[2];
    for (const std::smatch& label : Matches(text, R"re((\w+)="([^"]*)")re")) {
      labels[label[1]].insert(label[2]);
    }
  }
  return metrics;
}

// All strings under the key, wherever it is.
void Collect(const nlohmann::json& json, const std::string& key,
             std::vector<std::string>& found) {
  for (const auto& [name, value] : json.items()) {
    if (name == key && value.is_string()) found.push_back(value);
    if (value.is_structured()) Collect(value, key, found);
  }
}

class ObservabilityTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TempDir directory;
    ServerProgram server(absl::StrCat("embedded:", directory / "database"));
    server.StartReady();
    metrics_ = ParseMetrics(server.Get("/metrics").body);
  }

  ObservabilityTest() {
    for (const std::smatch& record : Matches(alerts_, R"(record: ([\w:]+))")) {
      recorded_.insert(record[1]);
    }
  }

  // What is wrong with a query, in words.
  std::vector<std::string> Faults(const std::string& query) const {
    std::vector<std::string> faults;
    std::set<std::string> labels = kTargetLabels;
    labels.insert("le");
    for (const std::smatch& name :
         Matches(query, R"(((?:userprofile|process)[_:][\w:]+)(\{[^}]*\})?)")) {
      if (recorded_.count(name[1]) > 0) continue;
      const auto metric = metrics_.find(name[1]);
      if (metric == metrics_.end()) {
        faults.push_back(absl::StrCat("no metric ", name[1].str()));
        continue;
      }
      for (const auto& [label, values] : metric->second) labels.insert(label);
      const std::string matchers = name[2];
      for (const std::smatch& matcher :
           Matches(matchers, R"re((\w+)(=|!=|=~|!~)"([^"]*)")re")) {
        if (kTargetLabels.count(matcher[1]) > 0) continue;
        const auto label = metric->second.find(matcher[1]);
        for (const std::string& value : Split(matcher[3], "|")) {
          if (label == metric->second.end() ||
              label->second.count(value) == 0) {
            faults.push_back(absl::StrCat(name[1].str(), " has no ",
                                          matcher[1].str(), "=", value));
          }
        }
      }
    }
    for (const std::smatch& by : Matches(query, R"(by \(([^)]*)\))")) {
      for (const std::string& label : Split(by[1], ", ")) {
        if (labels.count(label) == 0) {
          faults.push_back(absl::StrCat("no label ", label));
        }
      }
    }
    return faults;
  }

  static Metrics metrics_;
  const std::string alerts_ = ReadFile("alerts.yaml");
  std::set<std::string> recorded_;
};

Metrics ObservabilityTest::metrics_;

TEST_F(ObservabilityTest, TheDashboardAsksForWhatThereIs) {
  const auto dashboard = nlohmann::json::parse(ReadFile("dashboard.json"));
  std::vector<std::string> queries;
  Collect(dashboard, "expr", queries);
  Collect(dashboard["templating"], "query", queries);
  EXPECT_GT(queries.size(), 20u);
  for (const std::string& query : queries) {
    EXPECT_THAT(Faults(query), IsEmpty()) << query;
  }

  // A panel whose id is taken is not shown.
  std::set<int> ids;
  for (const auto& panel : dashboard["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second) << panel["title"];
  }
}

TEST_F(ObservabilityTest, TheAlertsAskForWhatThereIs) {
  std::set<std::string> alerts;
  for (const std::smatch& rule : Matches(
           alerts_,
           R"(- (alert|record): (\S+)\n *expr: (\|(\n(?: {10}.*)?)+|.*))")) {
    EXPECT_THAT(Faults(rule[3]), IsEmpty()) << rule[2];
    if (rule[1] == "alert") alerts.insert(rule[2]);
  }
  EXPECT_THAT(alerts,
              ::testing::UnorderedElementsAre(
                  "UserprofileCertificateExpires", "UserprofileCreatedSpike",
                  "UserprofileDatabaseAway", "UserprofileDown",
                  "UserprofileErrorRateHigh", "UserprofileLatencyHigh",
                  "UserprofileNotReady", "UserprofileSchemaBreach",
                  "UserprofileShedding", "UserprofileWritesFail"));
}

TEST_F(ObservabilityTest, AMisspeltQueryIsFound) {
  for (const char* query :
       {"userprofile_redy", "userprofile:created:share",
        R"(userprofile_recognitions_total{outcome="new"})",
        R"(userprofile_recognitions_total{outcme="created"})",
        R"(userprofile_rpc_requests_total{code=~"OK|OKAY"})",
        "sum by (lane) (userprofile_rpc_requests_total)"}) {
    EXPECT_EQ(Faults(query).size(), 1u) << query;
  }
}

}  // namespace
}  // namespace userprofile::testing
