// The overlays of deploy/kubernetes, as far as they can be tried out without a
// cluster: what their Deployment and their Job say is run, word for word, on a
// real database.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/deploy/overlay.h"
#include "tests/deploy/pod.h"
#include "tests/support/certificate.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/test_database.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kUsers = 50;

v1::UpsertUserRequest Contact(std::int64_t user) {
  v1::UpsertUserRequest request;
  request.set_user_id(user);
  request.mutable_identity()->set_first_name("Test");
  return request;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Contacts of users that are known, from construction until Stop.
class Bot {
 public:
  explicit Bot(client::ProfileClient& client)
      : thread_([&client, this] {
          for (std::int64_t user = 1; !stopping_; user = user % kUsers + 1) {
            const auto answer = client.UpsertUser(Contact(user));
            if (!answer.ok()) {
              failures_.push_back(answer.status().ToString());
            } else if (answer->created()) {
              failures_.push_back("a known user looked new");
            }
          }
        }) {}
  ~Bot() { Stop(); }

  // What failed.
  std::vector<std::string> Stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return failures_;
  }

 private:
  std::atomic<bool> stopping_{false};
  std::vector<std::string> failures_;  // the thread's while it runs
  std::thread thread_;
};

// A pod that serves, from its start to its end.
class Replica {
 public:
  Replica(const Overlay& overlay,
          const std::map<std::string, std::string>& files)
      : pod_(overlay, overlay.Find("Deployment", "userprofile"), files) {}

  const Pod& pod() const { return pod_; }
  Program& program() { return *program_; }

  void StartReady() {
    const auto schema = pod_.Start("await-schema");
    EXPECT_EQ(schema->Wait(), 0) << schema->errors();
    program_ = pod_.Start("server");
    for (const char* probe :
         {"startupProbe", "readinessProbe", "livenessProbe"}) {
      pod_.AwaitProbe("server", probe);
    }
    EXPECT_TRUE(program_->running()) << program_->errors();
  }

  // As the kubelet does it. The exit code.
  int Terminate() {
    program_->Signal(SIGTERM);
    return program_->Wait(pod_.grace());
  }

  // Whether a client has found it.
  bool Serves() const {
    const std::string metrics =
        HttpClient(absl::StrCat(pod_.address(), ":9464")).Get("/metrics").body;
    const std::string line =
        "userprofile_rpc_requests_total{code=\"OK\",method=\"UpsertUser\"} ";
    return absl::StrContains(metrics, line) &&
           !absl::StrContains(metrics, line + "0\n");
  }

 private:
  const Pod pod_;
  std::unique_ptr<Program> program_;
};

class PodTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { can_render_ = Overlay::CanRender(); }

  void SetUp() override {
    if (!can_render_) {
      GTEST_SKIP() << "there is no kubectl here that can render (1.28 or "
                      "newer)";
    }
    overlay_ = std::make_unique<Overlay>("dev");
    // As the overlay's PostgreSQL makes the roles.
    std::string sql =
        overlay_->Find("ConfigMap", "postgres-init")["data"]["roles.sql"];
    const std::string name = "DATABASE userprofile ";
    ASSERT_THAT(sql, HasSubstr(name));
    const std::string database(
        database_.Execute("SELECT current_database()").Text(0, 0));
    sql.replace(sql.find(name), name.size(),
                absl::StrCat("DATABASE ", database, " "));
    database_.Execute(sql);
  }

  void TearDown() override {
    if (overlay_ == nullptr) return;
    database_.Execute(
        "REASSIGN OWNED BY userprofile_migrator TO CURRENT_USER;"
        "DROP OWNED BY userprofile_migrator, userprofile_server;"
        "DROP ROLE userprofile_migrator, userprofile_server");
  }

  // The file of the Secret that the Job, or a replica, mounts.
  std::map<std::string, std::string> As(const std::string& role) const {
    return {{"/run/secrets/database/url",
             absl::StrCat(database_.conninfo(), " user=", role, "\n")}};
  }

  void Migrate() const {
    const Pod job(*overlay_, overlay_->Find("Job", "userprofile-migrate"),
                  As("userprofile_migrator"));
    job.RunToCompletion();
  }

  std::unique_ptr<Replica> MakeReplica() const {
    return std::make_unique<Replica>(*overlay_, As("userprofile_server"));
  }

  static bool can_render_;
  TestDatabase database_;
  std::unique_ptr<Overlay> overlay_;
};

bool PodTest::can_render_ = false;

TEST_F(PodTest, APodWaitsForTheMigrationBecomesReadyAndLeavesInTime) {
  const auto replica = MakeReplica();
  const auto waiting = replica->pod().Start("await-schema");
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(waiting->errors(), "waiting");
  })) << waiting->errors();
  Migrate();
  EXPECT_EQ(waiting->Wait(), 0) << waiting->errors();
  Migrate();  // again, as after a Job that was deleted

  replica->StartReady();
  EXPECT_EQ(replica->Terminate(), 0) << replica->program().errors();
}

TEST_F(PodTest, EveryVariableIsAFlagOfTheServer) {
  const Overlay production("production");
  const Outcome help = RunProgram({{"userprofile-server", "serve", "--help"}});
  for (const Overlay* overlay :
       std::vector<const Overlay*>{overlay_.get(), &production}) {
    const auto environment = overlay->EnvironmentOf(overlay->Find(
        "Deployment",
        "userprofile")["spec"]["template"]["spec"]["containers"][0]);
    EXPECT_GT(environment.size(), 5u);
    for (const auto& [variable, value] : environment) {
      if (!absl::StartsWith(variable, "USERPROFILE_")) continue;
      EXPECT_THAT(help.output, HasSubstr(absl::StrCat("(Env:", variable, ")")));
    }
  }
}

// Two replicas are replaced as maxSurge 1 and maxUnavailable 0 have it: a new
// one is ready before an old one is told to go.
TEST_F(PodTest, ARolloutFailsNoCall) {
  Migrate();
  std::vector<std::unique_ptr<Replica>> replicas;
  std::vector<std::string> addresses;
  for (int i = 0; i < 4; ++i) {
    replicas.push_back(MakeReplica());
    addresses.push_back(
        absl::StrCat(replicas.back()->pod().address(), ":50051"));
  }
  replicas[0]->StartReady();
  replicas[1]->StartReady();

  client::ClientOptions options;
  options.timeout = absl::Seconds(30);
  const auto client = client::MakeProfileClient(
      absl::StrCat("ipv4:", absl::StrJoin(addresses, ",")), options);
  ASSERT_TRUE(client.ok()) << client.status();
  for (std::int64_t user = 1; user <= kUsers; ++user) {
    const auto known = (*client)->UpsertUser(Contact(user));
    ASSERT_TRUE(known.ok()) << known.status();
  }
  Bot bot(**client);
  for (int i = 0; i < 2; ++i) {
    replicas[i + 2]->StartReady();
    EXPECT_TRUE(Eventually([&] { return replicas[i + 2]->Serves(); }));
    EXPECT_EQ(replicas[i]->Terminate(), 0) << replicas[i]->program().errors();
    EXPECT_TRUE(replicas[i + 2]->pod().Probe("server", "livenessProbe"));
  }
  EXPECT_THAT(bot.Stop(), IsEmpty());
}

// With certificates of the names that the overlay asks cert-manager for, and
// the example bot of certificates.yaml.
TEST_F(PodTest, InProductionWhoHasNoCertificateStaysOut) {
  Migrate();
  const Overlay production("production");
  const auto name_of = [&](const std::string& certificate) -> std::string {
    return production.Find("Certificate", certificate)["spec"]["dnsNames"][0];
  };
  const Certificate authority({.authority = true});
  const Certificate server({.subject_alternative_names =
                                absl::StrCat("DNS:", name_of("userprofile")),
                            .issuer = &authority});
  const std::string bot_name = name_of("userprofile-example-bot");
  const Certificate bot(
      {.subject_alternative_names = absl::StrCat("DNS:", bot_name),
       .issuer = &authority});

  auto files = As("userprofile_server");
  files["/run/secrets/tls/tls.crt"] = ReadFile(server.certificate_file());
  files["/run/secrets/tls/tls.key"] = ReadFile(server.key_file());
  files["/run/secrets/tls/ca.crt"] = ReadFile(authority.certificate_file());
  files["/run/secrets/callers/callers.json"] = absl::StrCat(
      R"({"callers": [{"name": "example-bot", "roles": ["bot"],
          "certificate_sans": ["DNS:)",
      bot_name, R"("]}]})");
  Replica replica(production, files);
  replica.StartReady();

  const auto call = [&](const Certificate* certificate) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ReadFile(authority.certificate_file());
    if (certificate != nullptr) {
      options.pem_cert_chain = ReadFile(certificate->certificate_file());
      options.pem_private_key = ReadFile(certificate->key_file());
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(name_of("userprofile"));
    const auto stub = v1::UserProfileService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat(replica.pod().address(), ":50051"),
        grpc::SslCredentials(options), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(20));
    v1::UpsertUserResponse response;
    return stub->UpsertUser(&context, Contact(1), &response).error_code();
  };
  EXPECT_EQ(call(&bot), grpc::StatusCode::OK);
  EXPECT_EQ(call(nullptr), grpc::StatusCode::UNAVAILABLE);
  const Certificate stranger({.issuer = &authority});
  EXPECT_EQ(call(&stranger), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(replica.Terminate(), 0) << replica.program().errors();
}

}  // namespace
}  // namespace userprofile::testing
