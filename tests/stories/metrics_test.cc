// What the programs tell of themselves, as those see it who watch them:
// promtool, a Prometheus that scrapes, and the operator's handbook.

#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/free_port.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kPromtool[] = "/usr/bin/promtool";
constexpr char kPrometheus[] = "/usr/bin/prometheus";

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() { server_.StartReady(); }

  // Three contacts of one user, and one call for a user that is not known.
  void MakeCalls() {
    const auto stub = server_.NewStub();
    v1::UpsertUserResponse upserted;
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(Upsert(*stub, 1, &upserted).ok());
    }
    v1::GetProfileResponse got;
    ASSERT_EQ(userprofile::testing::Get(*stub, 2, &got).error_code(),
              grpc::StatusCode::NOT_FOUND);
  }

  // The metrics of an adapter that has done nothing yet.
  std::string AdapterMetrics() {
    const std::string secret = directory_ / "secret";
    std::ofstream(secret) << "a-secret\n";
    const int port = FreePort();
    Program adapter(
        {{"userprofile-adapter", "webhook", "--server", server_.address(),
          "--forward-to", "http://127.0.0.1:1/", "--webhook-secret-file",
          secret, "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0",
          "--admin-listen", absl::StrCat("127.0.0.1:", port)}});
    HttpClient client(absl::StrCat("127.0.0.1:", port));
    std::string text;
    EXPECT_TRUE(Eventually([&] {
      const HttpAnswer answer = client.Get("/metrics");
      text = answer.body;
      return answer.status == 200;
    })) << adapter.errors();
    return text;
  }

  Outcome CheckMetrics(const std::string& text) {
    const std::string file = directory_ / "metrics";
    std::ofstream(file) << text;
    return RunProgram({{kPromtool, "check", "metrics"}, {}, file});
  }

  TempDir directory_;
  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
};

TEST_F(MetricsTest, PromtoolHasNothingToSay) {
  MakeCalls();
  for (const std::string& text :
       {server_.Get("/metrics").body, AdapterMetrics()}) {
    const Outcome outcome = CheckMetrics(text);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.output, IsEmpty());
    EXPECT_THAT(outcome.errors, IsEmpty());
  }
  // Nor does it have nothing to say about anything.
  EXPECT_NE(CheckMetrics("# TYPE a_total gauge\na_total 1\n").exit_code, 0);
}

// A Prometheus of the test's own.
class Prometheus {
 public:
  explicit Prometheus(const std::string& target) {
    const std::string config = directory_ / "prometheus.yml";
    std::ofstream(config) << "global: {scrape_interval: 200ms, scrape_timeout: "
                             "200ms}\n"
                             "scrape_configs:\n"
                             "- job_name: userprofile\n"
                             "  static_configs: [{targets: ['"
                          << target << "']}]\n";
    program_ = std::make_unique<Program>(Program::Options{
        {kPrometheus, absl::StrCat("--config.file=", config),
         absl::StrCat("--storage.tsdb.path=", directory_ / "data"),
         absl::StrCat("--web.listen-address=127.0.0.1:", port_)}});
  }

  // The value of an expression that yields one; -1 if it yields none.
  double Query(const std::string& expression) {
    // All but letters and digits as %XX.
    std::string query;
    for (const char c : expression) {
      absl::StrAppend(&query, absl::ascii_isalnum(c)
                                  ? std::string(1, c)
                                  : "%" + absl::BytesToHexString({&c, 1}));
    }
    const HttpAnswer answer = HttpClient(absl::StrCat("127.0.0.1:", port_))
                                  .Get("/api/v1/query?query=" + query);
    if (answer.status != 200) return -1;
    const auto result = nlohmann::json::parse(answer.body)["data"]["result"];
    if (result.size() != 1) return -1;
    double value = -1;
    (void)absl::SimpleAtod(result[0]["value"][1].get<std::string>(), &value);
    return value;
  }

  std::string log() const { return program_->errors(); }

 private:
  TempDir directory_;
  const int port_ = FreePort();
  std::unique_ptr<Program> program_;
};

TEST_F(MetricsTest, APrometheusScrapesThem) {
  MakeCalls();
  Prometheus prometheus(server_.admin_address());
  const std::pair<const char*, double> expected[] = {
      {"up", 1},
      {"userprofile_ready", 1},
      {"sum(userprofile_rpc_requests_total)", 4},
      {"userprofile_rpc_requests_total{method=\"UpsertUser\", code=\"OK\"}", 3},
      {"sum by (method) (userprofile_rpc_requests_total{code=\"NOT_FOUND\", "
       "method=\"GetProfile\"})",
       1},
      {"userprofile_rpc_duration_seconds_count{method=\"UpsertUser\"}", 3},
      {"userprofile_recognitions_total{outcome=\"created\"}", 1},
      {"userprofile_recognitions_total{outcome=\"returning\"}", 2},
      {"userprofile_lane_batch_size_sum{lane=\"upsert_user\"}", 3},
      {"userprofile_database_statement_duration_seconds_count{statement="
       "\"update_users\"}",
       3},
      {"userprofile_database_statement_failures_total{statement="
       "\"update_users\"}",
       0},
      {"sum(userprofile_schema_breaches)", 0},
      {"userprofile_state == 1", 1},
      {"count(userprofile_build_info)", 1},
  };
  for (const auto& [expression, value] : expected) {
    EXPECT_TRUE(Eventually([&, &e = expression, &v = value] {
      return prometheus.Query(e) == v;
    })) << expression
        << " is " << prometheus.Query(expression) << "\n"
        << prometheus.log();
  }
  EXPECT_TRUE(Eventually([&] {
    return prometheus.Query("userprofile_database_connections") >= 2 &&
           prometheus.Query("process_resident_memory_bytes") > 1e6;
  })) << server_.Get("/metrics").body;
}

// "# TYPE name type" in Prometheus' text format.
std::map<std::string, std::string> TypesOf(const std::string& text) {
  std::map<std::string, std::string> types;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "# TYPE ")) continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    types[words[0]] = words[1];
  }
  return types;
}

// The rows "| `name` | type |" of the handbook.
std::map<std::string, std::string> TypesInHandbook() {
  std::ifstream file(
      absl::StrCat(USERPROFILE_SOURCE_DIR, "/docs/operations.md"));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::map<std::string, std::string> types;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "| `userprofile_") &&
        !absl::StartsWith(line, "| `process_")) {
      continue;
    }
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    const absl::string_view name =
        absl::StripSuffix(absl::StripPrefix(cells[0], "| `"), "`");
    types[std::string(name)] = cells[1];
  }
  return types;
}

TEST_F(MetricsTest, TheHandbookListsThemAllAndNoOthers) {
  MakeCalls();
  std::map<std::string, std::string> told =
      TypesOf(server_.Get("/metrics").body);
  told.merge(TypesOf(AdapterMetrics()));
  EXPECT_EQ(TypesInHandbook(), told);
}

}  // namespace
}  // namespace userprofile::testing
