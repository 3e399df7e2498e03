#include "server/access/access.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/read_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/access/connections.h"
#include "server/api/testing.h"
#include "server/api/user_profile_service.h"
#include "server/transport/grpc_server.h"
#include "server/transport/health_service.h"
#include "server/transport/reflection_service.h"
#include "server/transport/tls.h"
#include "spdlog/spdlog.h"
#include "tests/support/captured_log.h"
#include "tests/support/certificate.h"
#include "tests/support/temp_dir.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;
using ::userprofile::testing::Certificate;
using ::userprofile::testing::KeptLog;
using ::userprofile::testing::TempDir;
using Channel = std::shared_ptr<grpc::Channel>;
using Code = grpc::StatusCode;

constexpr const char* kRoles[] = {"bot", "reader", "admin"};

// What a test shows of itself.
struct Way {
  std::string description;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string token;               // empty: none
  std::string host = "localhost";  // whom it believes to talk to
  // What becomes of calls that need to be known; OK: the role decides.
  Code expected = Code::OK;
  std::string reason = {};
};

void Authorize(const Way& way, grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  if (!way.token.empty()) {
    context.AddMetadata("authorization", "Bearer " + way.token);
  }
}

using Stub = v1::UserProfileService::Stub;

template <typename Request, typename Response>
grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                               const Request&, Response*),
                  const Channel& channel, const Way& way,
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  Authorize(way, context);
  const auto stub = v1::UserProfileService::NewStub(channel);
  return ((*stub).*method)(&context, request, response);
}

grpc::Status UpsertUser(const Channel& channel, const Way& way) {
  v1::UpsertUserRequest request;
  request.set_user_id(1);
  v1::UpsertUserResponse response;
  return Call(&Stub::UpsertUser, channel, way, request, &response);
}

grpc::Status GetProfile(const Channel& channel, const Way& way,
                        v1::GetProfileResponse* response) {
  v1::GetProfileRequest request;
  request.set_user_id(1);
  return Call(&Stub::GetProfile, channel, way, request, response);
}

grpc::Status BatchGetProfiles(const Channel& channel, const Way& way,
                              v1::BatchGetProfilesResponse* response) {
  v1::BatchGetProfilesRequest request;
  request.add_user_ids(1);
  return Call(&Stub::BatchGetProfiles, channel, way, request, response);
}

grpc::Status BatchUpsertUsers(const Channel& channel, const Way& way) {
  v1::BatchUpsertUsersRequest request;
  request.add_requests()->set_user_id(1);
  v1::BatchUpsertUsersResponse response;
  return Call(&Stub::BatchUpsertUsers, channel, way, request, &response);
}

grpc::Status ListProfiles(const Channel& channel, const Way& way,
                          v1::ListProfilesResponse* response) {
  return Call(&Stub::ListProfiles, channel, way, v1::ListProfilesRequest(),
              response);
}

grpc::Status CountProfiles(const Channel& channel, const Way& way) {
  v1::CountProfilesResponse response;
  return Call(&Stub::CountProfiles, channel, way, v1::CountProfilesRequest(),
              &response);
}

grpc::Status LookupProfile(const Channel& channel, const Way& way,
                           v1::LookupProfileResponse* response) {
  v1::LookupProfileRequest request;
  request.set_username("@nick");
  return Call(&Stub::LookupProfile, channel, way, request, response);
}

// The first event, or why there is none.
grpc::Status WatchProfiles(const Channel& channel, const Way& way,
                           v1::WatchProfilesResponse* event) {
  grpc::ClientContext context;
  Authorize(way, context);
  const auto stub = v1::UserProfileService::NewStub(channel);
  const auto stream = stub->WatchProfiles(&context, {});
  const bool answered = stream->Read(event);
  if (answered) context.TryCancel();
  const grpc::Status status = stream->Finish();
  return answered ? grpc::Status::OK : status;
}

grpc::Status CompleteOnboarding(const Channel& channel, const Way& way) {
  v1::CompleteOnboardingRequest request;
  request.set_user_id(1);
  request.mutable_answers()->set_real_name("Real");
  request.mutable_answers()->set_nickname("nick");
  v1::CompleteOnboardingResponse response;
  return Call(&Stub::CompleteOnboarding, channel, way, request, &response);
}

grpc::Status UpdateProfile(const Channel& channel, const Way& way,
                           v1::UpdateProfileResponse* response) {
  v1::UpdateProfileRequest request;
  request.mutable_profile()->set_user_id(1);
  return Call(&Stub::UpdateProfile, channel, way, request, response);
}

grpc::Status DeleteUser(const Channel& channel, const Way& way) {
  v1::DeleteUserRequest request;
  request.set_user_id(1);
  v1::DeleteUserResponse response;
  return Call(&Stub::DeleteUser, channel, way, request, &response);
}

grpc::Status GetSession(const Channel& channel, const Way& way) {
  v1::GetSessionRequest request;
  request.set_bot("shop");
  request.set_key("chat:1");
  v1::GetSessionResponse response;
  return Call(&Stub::GetSession, channel, way, request, &response);
}

grpc::Status PutSession(const Channel& channel, const Way& way) {
  v1::PutSessionRequest request;
  request.mutable_session()->set_bot("shop");
  request.mutable_session()->set_key("chat:1");
  v1::PutSessionResponse response;
  return Call(&Stub::PutSession, channel, way, request, &response);
}

grpc::Status DeleteSession(const Channel& channel, const Way& way) {
  v1::DeleteSessionRequest request;
  request.set_bot("shop");
  request.set_key("chat:1");
  v1::DeleteSessionResponse response;
  return Call(&Stub::DeleteSession, channel, way, request, &response);
}

grpc::Status Check(const Channel& channel, const Way& way) {
  grpc::ClientContext context;
  Authorize(way, context);
  grpc::health::v1::HealthCheckResponse response;
  return grpc::health::v1::Health::NewStub(channel)->Check(&context, {},
                                                           &response);
}

grpc::Status Watch(const Channel& channel, const Way& way) {
  grpc::ClientContext context;
  Authorize(way, context);
  grpc::health::v1::HealthCheckResponse response;
  const auto stub = grpc::health::v1::Health::NewStub(channel);
  const auto stream = stub->Watch(&context, {});
  const bool answered = stream->Read(&response);
  if (answered) context.TryCancel();
  const grpc::Status status = stream->Finish();
  return answered ? grpc::Status::OK : status;
}

grpc::Status Reflect(const Channel& channel, const Way& way) {
  grpc::ClientContext context;
  Authorize(way, context);
  const auto stub =
      grpc::reflection::v1alpha::ServerReflection::NewStub(channel);
  const auto stream = stub->ServerReflectionInfo(&context);
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");
  grpc::reflection::v1alpha::ServerReflectionResponse response;
  stream->Write(request);
  stream->Read(&response);
  stream->WritesDone();
  return stream->Finish();
}

// Every method, and which of kRoles may call it; beyond that, nobody.
struct MethodRow {
  std::string method;
  std::function<grpc::Status(const Channel&, const Way&)> call;
  bool bot, reader, admin, nobody;
};

const std::vector<MethodRow>& Methods() {
  static const auto& methods = *new std::vector<MethodRow>{
      {"/userprofile.v1.UserProfileService/UpsertUser", UpsertUser, true, false,
       true, false},
      {"/userprofile.v1.UserProfileService/GetProfile",
       [](const Channel& channel, const Way& way) {
         v1::GetProfileResponse response;
         return GetProfile(channel, way, &response);
       },
       true, true, true, false},
      {"/userprofile.v1.UserProfileService/BatchGetProfiles",
       [](const Channel& channel, const Way& way) {
         v1::BatchGetProfilesResponse response;
         return BatchGetProfiles(channel, way, &response);
       },
       true, true, true, false},
      {"/userprofile.v1.UserProfileService/BatchUpsertUsers", BatchUpsertUsers,
       true, false, true, false},
      {"/userprofile.v1.UserProfileService/LookupProfile",
       [](const Channel& channel, const Way& way) {
         v1::LookupProfileResponse response;
         return LookupProfile(channel, way, &response);
       },
       false, true, true, false},
      {"/userprofile.v1.UserProfileService/ListProfiles",
       [](const Channel& channel, const Way& way) {
         v1::ListProfilesResponse response;
         return ListProfiles(channel, way, &response);
       },
       false, true, true, false},
      {"/userprofile.v1.UserProfileService/CountProfiles", CountProfiles, false,
       true, true, false},
      {"/userprofile.v1.UserProfileService/WatchProfiles",
       [](const Channel& channel, const Way& way) {
         v1::WatchProfilesResponse event;
         return WatchProfiles(channel, way, &event);
       },
       false, true, true, false},
      {"/userprofile.v1.UserProfileService/CompleteOnboarding",
       CompleteOnboarding, true, false, true, false},
      {"/userprofile.v1.UserProfileService/UpdateProfile",
       [](const Channel& channel, const Way& way) {
         v1::UpdateProfileResponse response;
         return UpdateProfile(channel, way, &response);
       },
       true, false, true, false},
      {"/userprofile.v1.UserProfileService/DeleteUser", DeleteUser, false,
       false, true, false},
      {"/userprofile.v1.UserProfileService/GetSession", GetSession, true, false,
       true, false},
      {"/userprofile.v1.UserProfileService/PutSession", PutSession, true, false,
       true, false},
      {"/userprofile.v1.UserProfileService/DeleteSession", DeleteSession, true,
       false, true, false},
      {"/grpc.health.v1.Health/Check", Check, true, true, true, true},
      {"/grpc.health.v1.Health/Watch", Watch, true, true, true, true},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
       Reflect, true, true, true, false},
  };
  return methods;
}

std::string HashJson(const std::string& token) {
  return absl::StrCat("\"", access::ToHex(access::HashOf(token)), "\"");
}

const std::shared_ptr<KeptLog>& TheLog() {
  static const auto& log =
      *new std::shared_ptr<KeptLog>(std::make_shared<KeptLog>());
  return log;
}

// There before any thread that may log, and never taken away: gRPC's threads
// log when they like, also while a server goes and a test ends.
class LogsAreKept final : public ::testing::Environment {
  void SetUp() override {
    spdlog::default_logger()->sinks().push_back(TheLog());
  }
};
const ::testing::Environment* const kLogsAreKept =
    ::testing::AddGlobalTestEnvironment(new LogsAreKept);

// A server as one that listens to strangers has to be.
class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    TheLog()->Clear();
    readiness_.Set(absl::OkStatus());
    store_.find = [](store::FindCall call, auto, auto done) {
      call.profile->set_phone("+989123456789");
      done(absl::OkStatus());
    };
    store_.scan = [](store::ScanCall call, auto, auto done) {
      if (call.profiles != nullptr) {
        v1::Profile* profile = call.profiles->Add();
        profile->set_nickname("nick");
        profile->set_real_name("Real");
        profile->set_phone("+989123456789");
      }
      *call.result = {};
      done(absl::OkStatus());
    };
    store_.read_changes = [](const store::ChangesCall& call, auto, auto done) {
      *call.page = {};
      call.page->changes.emplace_back().event.mutable_profile()->set_phone(
          "+989123456789");
      done(absl::OkStatus());
    };
    store_.read = [](store::ReadCall call, auto, auto done) {
      v1::Profile* profile = call.found(call.user_ids.front());
      profile->set_nickname("nick");
      profile->set_real_name("Real");
      profile->set_phone("+989123456789");
      done(absl::OkStatus());
    };
    for (const char* role : kRoles) {
      tokens_[role] = access::NewToken();
      revoked_[role] = access::NewToken();
    }
    WriteCallers(/*with_revoked=*/true);
  }

  void WriteCallers(bool with_revoked) {
    std::string callers;
    for (const char* role : kRoles) {
      absl::StrAppend(&callers, callers.empty() ? "" : ",", R"({"name": "a-)",
                      role, R"(", "roles": [")", role, R"("], )",
                      R"("certificate_sans": ["URI:spiffe://example/)", role,
                      R"("], "token_sha256": [)", HashJson(tokens_[role]),
                      with_revoked ? "," + HashJson(revoked_[role]) : "", "]}");
    }
    absl::StrAppend(&callers, R"(, {"name": "crm", "roles": ["reader"], )",
                    R"("pii": true, "token_sha256": [)", HashJson("crm-token"),
                    "]}");
    Write(absl::StrCat(R"({"callers": [)", callers, "]}"));
  }

  void Write(const std::string& json) { std::ofstream(file_) << json; }

  // Also in place of one that runs, with nobody's failed attempts.
  void Start(bool encrypted = true, bool on_loopback = false) {
    server_.reset();
    service_.reset();
    reflection_.reset();
    auto access = access::Access::Load(file_, on_loopback, metrics_);
    ASSERT_TRUE(access.ok()) << access.status();
    access_ = *std::move(access);
    service_ = std::make_unique<UserProfileService>(store_, readiness_,
                                                    metrics_, *access_);
    reflection_ = std::make_unique<transport::ReflectionService>(*access_);
    transport::GrpcServerOptions options;
    options.address = "127.0.0.1:0";
    if (encrypted) {
      auto tls = transport::Tls::Load({servers_.certificate_file(),
                                       servers_.key_file(),
                                       clients_ca_.certificate_file()});
      ASSERT_TRUE(tls.ok()) << tls.status();
      tls_ = *std::move(tls);
      options.credentials = tls_->ServerCredentials();
    }
    auto server = transport::GrpcServer::Start(
        options, connections_, {service_.get(), &health_, reflection_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Believes that authority, and shows that certificate if there is one.
  static std::shared_ptr<grpc::ChannelCredentials> Encrypted(
      const Certificate& authority, const Certificate* shown = nullptr) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = *base::ReadFile(authority.certificate_file());
    if (shown != nullptr) {
      options.pem_cert_chain = *base::ReadFile(shown->certificate_file());
      options.pem_private_key = *base::ReadFile(shown->key_file());
    }
    return grpc::SslCredentials(options);
  }

  Channel Connect(const Way& way) const {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(way.host);
    return grpc::CreateCustomChannel(server_->address(), way.credentials,
                                     arguments);
  }

  // Who shows that token.
  Way WithToken(const std::string& token) const {
    return {"with a token", Encrypted(servers_), token};
  }

  const TempDir directory_;
  const std::string file_ = directory_ / "callers.json";
  const Certificate servers_;
  const Certificate clients_ca_{{.authority = true}};
  std::map<std::string, std::string> tokens_;
  std::map<std::string, std::string> revoked_;
  ScriptedStore store_;
  ops::Readiness readiness_;
  ops::Metrics metrics_;
  transport::HealthService health_{readiness_};
  std::unique_ptr<transport::Tls> tls_;
  std::unique_ptr<access::Access> access_;
  std::unique_ptr<UserProfileService> service_;
  std::unique_ptr<transport::ReflectionService> reflection_;
  access::Connections connections_;
  std::unique_ptr<transport::GrpcServer> server_;
};

TEST_F(AccessTest, TheTableOfThisTestHasEveryMethod) {
  std::vector<std::string> ours;
  for (const MethodRow& row : Methods()) ours.push_back(row.method);
  std::vector<std::string> theirs;
  for (const access::Permission& row : access::Permissions())
    theirs.emplace_back(row.method);
  EXPECT_THAT(ours, UnorderedElementsAreArray(theirs));
}

// Every method, every role, every way in.
TEST_F(AccessTest, IsDecidedForEachMethodByRoleAndByTheWayIn) {
  const Certificate other_ca({.authority = true});
  for (const std::string role : kRoles) {
    WriteCallers(/*with_revoked=*/true);
    Start();  // for each role, or attempts would come to be too many
    WriteCallers(/*with_revoked=*/false);
    ASSERT_TRUE(access_->Reload().value_or(false));
    const auto issue = [&](const std::string& name, const Certificate& by,
                           absl::Duration begins, absl::Duration ends) {
      return Certificate({.subject_alternative_names = "URI:" + name,
                          .begins = begins,
                          .ends = ends,
                          .issuer = &by});
    };
    const std::string name = "spiffe://example/" + role;
    const absl::Duration hour = absl::Hours(1);
    const Certificate right = issue(name, clients_ca_, -hour, hour);
    const Certificate expired = issue(name, clients_ca_, -2 * hour, -hour);
    const Certificate early = issue(name, clients_ca_, hour, 2 * hour);
    const Certificate strange = issue(name, other_ca, -hour, hour);
    const Certificate renamed = issue(name + "x", clients_ca_, -hour, hour);
    const Certificate nameless(
        {.subject_alternative_names = "", .issuer = &clients_ca_});
    const std::string& token = tokens_[role];
    const auto tls = Encrypted(servers_);
    const Way ways[] = {
        {"right token", tls, token},
        {"right certificate", Encrypted(servers_, &right), ""},
        {"no TLS, right token", grpc::InsecureChannelCredentials(), token,
         "localhost", Code::UNAVAILABLE, ""},
        {"a server of a wrong CA, right token", Encrypted(other_ca), token,
         "localhost", Code::UNAVAILABLE, ""},
        {"a server of a wrong name, right token", tls, token, "elsewhere",
         Code::UNAVAILABLE, ""},
        {"certificate of a wrong CA", Encrypted(servers_, &strange), "",
         "localhost", Code::UNAVAILABLE, ""},
        {"certificate expired", Encrypted(servers_, &expired), "", "localhost",
         Code::UNAVAILABLE, ""},
        {"certificate expired, right token", Encrypted(servers_, &expired),
         token, "localhost", Code::UNAVAILABLE, ""},
        {"certificate not valid yet", Encrypted(servers_, &early), "",
         "localhost", Code::UNAVAILABLE, ""},
        {"certificate with a wrong SAN", Encrypted(servers_, &renamed), "",
         "localhost", Code::UNAUTHENTICATED, "UNKNOWN_CERTIFICATE"},
        {"certificate without a SAN", Encrypted(servers_, &nameless), "",
         "localhost", Code::UNAUTHENTICATED, "UNKNOWN_CERTIFICATE"},
        {"no token", tls, "", "localhost", Code::UNAUTHENTICATED,
         "CREDENTIALS_MISSING"},
        {"bad token", tls, token + "x", "localhost", Code::UNAUTHENTICATED,
         "UNKNOWN_TOKEN"},
        {"revoked token", tls, revoked_[role], "localhost",
         Code::UNAUTHENTICATED, "UNKNOWN_TOKEN"},
        {"bad token, right certificate", Encrypted(servers_, &right),
         token + "x", "localhost", Code::UNAUTHENTICATED, "UNKNOWN_TOKEN"},
    };
    for (const Way& way : ways) {
      const Channel channel = Connect(way);
      for (const MethodRow& row : Methods()) {
        SCOPED_TRACE(
            absl::StrCat(role, ", ", way.description, ", ", row.method));
        const grpc::Status status = row.call(channel, way);
        const bool may = role == "bot"      ? row.bot
                         : role == "reader" ? row.reader
                                            : row.admin;
        if (way.expected == Code::UNAVAILABLE) {
          EXPECT_EQ(status.error_code(), Code::UNAVAILABLE)
              << status.error_message();
        } else if (row.nobody || (may && way.expected == Code::OK)) {
          EXPECT_TRUE(status.ok()) << status.error_message();
        } else if (way.expected != Code::OK) {
          EXPECT_EQ(status.error_code(), way.expected);
          EXPECT_EQ(ReasonOf(status), way.reason);
        } else {
          EXPECT_EQ(status.error_code(), Code::PERMISSION_DENIED);
          EXPECT_EQ(ReasonOf(status), "ROLE_MISSING");
        }
      }
    }
  }
}

TEST_F(AccessTest, AReaderGetsPersonalDataOnlyIfGranted) {
  Start();
  const std::pair<std::string, bool> cases[] = {
      {tokens_["reader"], false},
      {"crm-token", true},
      {tokens_["bot"], true},
      {tokens_["admin"], true},
  };
  for (const auto& [token, granted] : cases) {
    const Way way = WithToken(token);
    v1::GetProfileResponse response;
    ASSERT_TRUE(GetProfile(Connect(way), way, &response).ok());
    EXPECT_EQ(response.profile().nickname(), "nick");
    EXPECT_EQ(response.profile().has_phone(), granted) << token;
    EXPECT_EQ(response.profile().has_real_name(), granted) << token;
    v1::BatchGetProfilesResponse batch;
    ASSERT_TRUE(BatchGetProfiles(Connect(way), way, &batch).ok());
    ASSERT_EQ(batch.profiles_size(), 1);
    v1::LookupProfileResponse found;
    const grpc::Status looked_up = LookupProfile(Connect(way), way, &found);
    EXPECT_EQ(looked_up.ok(), token != tokens_["bot"]);
    EXPECT_EQ(found.profile().has_phone(), looked_up.ok() && granted);
    v1::WatchProfilesResponse event;
    EXPECT_EQ(WatchProfiles(Connect(way), way, &event).ok(), looked_up.ok());
    EXPECT_EQ(event.profile().has_phone(), looked_up.ok() && granted);
    EXPECT_EQ(batch.profiles(0).SerializeAsString(),
              response.profile().SerializeAsString());
    v1::ListProfilesResponse page;
    const grpc::Status listed = ListProfiles(Connect(way), way, &page);
    EXPECT_EQ(listed.ok(), token != tokens_["bot"]);
    ASSERT_EQ(page.profiles_size(), listed.ok() ? 1 : 0);
    if (listed.ok()) {
      EXPECT_EQ(page.profiles(0).SerializeAsString(),
                response.profile().SerializeAsString());
    }
  }
}

TEST_F(AccessTest, ATokenCountsForMoreThanACertificate) {
  Start();
  const Certificate admin(
      {.subject_alternative_names = "URI:spiffe://example/admin",
       .issuer = &clients_ca_});
  const Way way = {"both", Encrypted(servers_, &admin), tokens_["reader"]};
  EXPECT_EQ(UpsertUser(Connect(way), way).error_code(),
            Code::PERMISSION_DENIED);
}

TEST_F(AccessTest, OnLoopbackTokensNeedNoTlsAndReflectionNoToken) {
  Start(/*encrypted=*/false, /*on_loopback=*/true);
  Way way = {"plain", grpc::InsecureChannelCredentials(), ""};
  EXPECT_TRUE(Reflect(Connect(way), way).ok());
  EXPECT_EQ(UpsertUser(Connect(way), way).error_code(), Code::UNAUTHENTICATED);
  way.token = tokens_["bot"];
  EXPECT_TRUE(UpsertUser(Connect(way), way).ok());
}

TEST_F(AccessTest, AClientCertificateCanBeDemanded) {
  auto tls =
      transport::Tls::Load({servers_.certificate_file(), servers_.key_file(),
                            clients_ca_.certificate_file(), true});
  ASSERT_TRUE(tls.ok()) << tls.status();
  auto server = transport::GrpcServer::Start(
      {.address = "127.0.0.1:0", .credentials = (*tls)->ServerCredentials()},
      connections_, {&health_});
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  const Certificate known({.issuer = &clients_ca_});
  Way way = {"certificate", Encrypted(servers_, &known), ""};
  EXPECT_TRUE(Check(Connect(way), way).ok());
  way = WithToken(tokens_["admin"]);
  EXPECT_EQ(Check(Connect(way), way).error_code(), Code::UNAVAILABLE);
  server_.reset();
}

TEST_F(AccessTest, AFileThatIsNotRightLeavesTheCallersAsTheyWere) {
  Start();
  Write("{");
  const absl::Status status = access_->Reload().status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(file_), HasSubstr("not JSON")));
  EXPECT_EQ(access_->Reload().status(), status);
  std::filesystem::remove(file_);
  EXPECT_FALSE(access_->Reload().ok());
  const Way way = WithToken(tokens_["bot"]);
  EXPECT_TRUE(UpsertUser(Connect(way), way).ok());
  WriteCallers(true);
  EXPECT_THAT(access_->Reload().value_or(true), false);
}

TEST_F(AccessTest, FailuresAreCountedLoggedAndLimitedWithoutTheToken) {
  Start();
  const std::string token = "up_a-token-that-is-not-known";
  const Way way = WithToken(token);
  const Channel channel = Connect(way);
  int unauthenticated = 0;
  grpc::Status status;
  while (unauthenticated < 1000) {
    status = UpsertUser(channel, way);
    if (status.error_code() != Code::UNAUTHENTICATED) break;
    ++unauthenticated;
    EXPECT_THAT(status.error_message(), Not(HasSubstr(token)));
  }
  EXPECT_GE(unauthenticated, 100);
  EXPECT_EQ(status.error_code(), Code::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "TOO_MANY_ATTEMPTS");
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(status).retry_delay().seconds(),
            1);

  // Others at the same address are let in as ever.
  EXPECT_TRUE(UpsertUser(channel, WithToken(tokens_["bot"])).ok());
  EXPECT_TRUE(Check(channel, way).ok());

  EXPECT_THAT(
      metrics_.Text(),
      HasSubstr(absl::StrCat(
          "userprofile_refused_callers_total{reason=\"UNKNOWN_TOKEN\"} ",
          unauthenticated, "\n")));
  // Strangers are no part of what the service does and fails to do.
  for (const char* refused :
       {"userprofile_rpc_requests_total{code=\"UNAUTHENTICATED\",method="
        "\"UpsertUser\"} 0\n",
        "userprofile_rpc_requests_total{code=\"RESOURCE_EXHAUSTED\",method="
        "\"UpsertUser\"} 0\n",
        "userprofile_rpc_requests_total{code=\"OK\",method=\"UpsertUser\"} 1\n",
        "userprofile_rpc_duration_seconds_count{method=\"UpsertUser\"} 1\n",
        "userprofile_rpc_in_flight{method=\"UpsertUser\"} 0\n"}) {
    EXPECT_THAT(metrics_.Text(), HasSubstr(refused));
  }
  server_.reset();
  EXPECT_THAT(TheLog()->text(),
              AllOf(HasSubstr("refused anonymous from 127.0.0.1: "
                              "UNKNOWN_TOKEN, "
                              "/userprofile.v1.UserProfileService/UpsertUser"),
                    Not(HasSubstr(token))));
}

}  // namespace
}  // namespace userprofile::api
