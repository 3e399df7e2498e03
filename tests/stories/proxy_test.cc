// The proxy of deploy/proxy keeps out what makes gRPC close a connection that
// callers share (CVE-2023-32732, and headers of more than 8 KiB).

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/stories/server_story.h"
#include "tests/support/certificate.h"
#include "tests/support/free_port.h"
#include "tests/support/http2_frames.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kNoMessage[] = "\0\0\0\0";  // of gRPC: five zeros, with the end
constexpr int kUsers = 10;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A client that speaks HTTP/2 byte by byte, on a connection of its own.
class RawClient {
 public:
  explicit RawClient(const std::string& socket_path) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, socket_path.c_str(), sizeof(to.sun_path) - 1);
    Connect(AF_UNIX, &to, sizeof(to));
  }
  explicit RawClient(int port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Connect(AF_INET, &to, sizeof(to));
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // An empty message to `path`, and trailers if there are any.
  void Call(std::uint32_t stream, const std::string& path,
            const std::string& more_headers, const std::string& trailers = "") {
    std::string bytes =
        Http2Frame(kHttp2Headers, kHttp2EndHeaders, stream,
                   Http2Call(path) + more_headers) +
        Http2Frame(kHttp2Data, trailers.empty() ? kHttp2EndStream : 0, stream,
                   std::string(kNoMessage, sizeof(kNoMessage)));
    if (!trailers.empty()) {
      bytes += Http2Frame(kHttp2Headers, kHttp2EndHeaders | kHttp2EndStream,
                          stream, trailers);
    }
    Send(bytes);
  }

  // The other end's limits hold from then on.
  void AcknowledgeSettings() const {
    Send(Http2Frame(kHttp2Settings, kHttp2Ack, 0, ""));
  }

  // Waits for some of those bytes to come; whether they did before the end.
  bool Receives(const std::string& bytes) {
    while (!absl::StrContains(received_, bytes)) {
      if (!ReadMore()) return false;
    }
    return true;
  }

  // Whether the other end closes the connection.
  bool IsClosed() {
    while (ReadMore()) {
    }
    return closed_;
  }

 private:
  void Connect(int family, const void* to, socklen_t size) {
    fd_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd_, static_cast<const sockaddr*>(to), size), 0)
        << std::strerror(errno);
    Send(Http2Greeting());
  }

  void Send(const std::string& bytes) const {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  // False at the end of the connection, or if nothing came for 10 s.
  bool ReadMore() {
    pollfd readable = {fd_, POLLIN, 0};
    if (poll(&readable, 1, 10'000) != 1) return false;
    char bytes[4096];
    const ssize_t size = recv(fd_, bytes, sizeof(bytes), 0);
    closed_ = size <= 0;
    if (!closed_) received_.append(bytes, static_cast<std::size_t>(size));
    return !closed_;
  }

  int fd_ = -1;
  bool closed_ = false;
  std::string received_;
};

// nginx as deploy/proxy configures it, but for where things are.
class Proxy {
 public:
  explicit Proxy(const std::string& server_socket) {
    const std::string source = USERPROFILE_SOURCE_DIR "/deploy/proxy/";
    std::string configuration = ReadText(source + "nginx.conf");
    std::string paths = "http {\n";
    for (const char* name :
         {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      absl::StrAppend(&paths, name, "_temp_path ", directory_ / name, ";\n");
    }
    const int replaced = absl::StrReplaceAll(
        {{"127.0.0.1:50050", address()},
         // The lines for TLS are comments.
         {"# listen 443", absl::StrCat("listen ", tls_address())},
         {"# ssl_", "ssl_"},
         {"/etc/userprofile/tls.crt", tls_.certificate_file()},
         {"/etc/userprofile/tls.key", tls_.key_file()},
         {"unix:/run/userprofile-calls/grpc",
          absl::StrCat("unix:", server_socket)},
         {"user www-data;", "user root;"},  // who may reach that socket
         {"http {\n", paths}},
        &configuration);
    EXPECT_EQ(replaced, 10);
    std::ofstream(directory_ / "nginx.conf") << configuration;
    std::ofstream(directory_ / "headers.js") << ReadText(source + "headers.js");
    program_ = std::make_unique<Program>(Program::Options{
        .words = {"/usr/sbin/nginx", "-e", "stderr", "-c",
                  directory_ / "nginx.conf", "-g",
                  absl::StrCat("daemon off; pid ", directory_ / "pid", ";")}});
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  std::string tls_address() const {
    return absl::StrCat("127.0.0.1:", tls_port_);
  }
  std::string errors() const { return program_->errors(); }

  // On a connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    return grpc::CreateCustomChannel(
        address(), grpc::InsecureChannelCredentials(), arguments);
  }
  std::shared_ptr<grpc::Channel> NewTlsChannel() const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ReadText(tls_.certificate_file());
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");
    return grpc::CreateCustomChannel(tls_address(),
                                     grpc::SslCredentials(options), arguments);
  }

  // What a call with these headers besides is answered with.
  Outcome Curl(const std::vector<std::string>& headers) const {
    Program::Options options;
    options.words = {"/usr/bin/curl",
                     "--silent",
                     "--show-error",
                     "--include",
                     "--noproxy",
                     "*",
                     "--http2-prior-knowledge",
                     "--max-time",
                     "10",
                     "--request",
                     "POST",
                     "--header",
                     "content-type: application/grpc",
                     "--header",
                     "te: trailers"};
    for (const std::string& header : headers) {
      options.words.push_back("--header");
      options.words.push_back(header);
    }
    options.words.push_back(absl::StrCat("http://", address(), kCheck));
    return RunProgram(std::move(options));
  }

 private:
  const TempDir directory_;
  const int port_ = FreePort();
  const int tls_port_ = FreePort();
  const Certificate tls_;
  std::unique_ptr<Program> program_;
};

class ProxyTest : public ServerStory {
 protected:
  void SetUp() override {
    if (access("/usr/sbin/nginx", X_OK) != 0 ||
        access("/usr/lib/nginx/modules/ngx_http_js_module.so", R_OK) != 0) {
      GTEST_SKIP() << "NOT TESTED: the proxy, for that takes nginx: "
                      "deploy/local/install.sh nginx libnginx-mod-http-js";
    }
    StoreUsers(*server_->NewStub(), kUsers);
    proxy_ = std::make_unique<Proxy>(socket_path());
    ASSERT_TRUE(proxy_->NewChannel()->WaitForConnected(
        std::chrono::system_clock::now() + std::chrono::seconds(20)))
        << proxy_->errors();
  }

  std::string socket_path() const {
    return std::string(absl::StripPrefix(server_->address(), "unix:"));
  }

  // Bots that come by the proxy, once they had their first answers.
  std::unique_ptr<Load> StartOthers() const {
    std::vector<std::unique_ptr<Stub>> stubs;
    for (int i = 0; i < 3; ++i) {
      stubs.push_back(v1::UserProfileService::NewStub(proxy_->NewChannel()));
    }
    auto others = std::make_unique<Load>(std::move(stubs), kUsers);
    EXPECT_TRUE(Eventually([&] { return others->ok() > 20; }))
        << proxy_->errors();
    return others;
  }

  static void ExpectUndisturbed(Load& others) {
    const int before = others.ok();
    EXPECT_TRUE(Eventually([&] { return others.ok() > before + 20; }));
    const Load::Tally tally = others.Stop();
    EXPECT_TRUE(tally.failures.empty())
        << tally.failures.begin()->second << " of " << tally.ok << ": "
        << tally.failures.begin()->first;
    EXPECT_EQ(tally.created + tally.not_found, 0);
  }

  std::unique_ptr<Proxy> proxy_;
};

// What the proxy is for: when this fails, gRPC no longer has that fault.
TEST_F(ProxyTest, WithoutItWhoSharesAConnectionCanEndIt) {
  const auto ends_it = [this](const std::string& headers,
                              const std::string& trailers) {
    RawClient both(socket_path());
    both.Call(1, kWatch, "");
    EXPECT_TRUE(both.Receives(std::string("\x02\x08\x01", 3)));  // SERVING
    both.AcknowledgeSettings();
    both.Call(3, kCheck, headers, trailers);
    return both.IsClosed();
  };
  EXPECT_TRUE(ends_it(Http2Header("x-bin", "no base64"), ""));
  EXPECT_TRUE(ends_it("", Http2Header("x-bin", "no base64")));
  std::string many;
  for (int i = 0; i < 100; ++i) many += Http2Header("x", std::string(90, 'x'));
  EXPECT_TRUE(ends_it(many, ""));
}

TEST_F(ProxyTest, AnswersTheCulpritAlone) {
  for (const char* value : {"no base64", "A", "AAAAA", "AB", "AAB", "AA=A",
                            "AAAA,AAAA", "A-_A", "\xff"}) {
    SCOPED_TRACE(value);
    for (const char* name : {"x-bin", "X-Bin", "grpc-trace-bin", "-bin"}) {
      const Outcome answer =
          proxy_->Curl({"a-bin: AAAA", absl::StrCat(name, ": ", value)});
      EXPECT_THAT(answer.output, HasSubstr("grpc-status: 3\r\n"))
          << answer.errors << proxy_->errors();
      EXPECT_THAT(answer.output, HasSubstr("a -bin header is not base64"));
    }
  }
  for (const char* value : {"", "AA", "AA==", "AAA", "AAA=", "AAAA", "+/+/"}) {
    EXPECT_THAT(proxy_->Curl({absl::StrCat("x-bin: ", value)}).output,
                Not(HasSubstr("base64")))
        << value;
  }
  EXPECT_THAT(proxy_->Curl(std::vector<std::string>(65, "x: 1")).output,
              HasSubstr("more than 64 headers"));
}

TEST_F(ProxyTest, DoesNotLetOthersFeelAFlood) {
  if (std::system("command -v h2load >/dev/null") != 0) {
    GTEST_SKIP() << "NOT TESTED: h2load is missing (package nghttp2-client)";
  }
  const std::string body = *directory_ / "body";
  std::ofstream(body) << std::string(kNoMessage, sizeof(kNoMessage));
  const auto others = StartOthers();
  std::vector<std::string> many;
  for (int i = 100; i < 280; ++i) {  // 2.5 KiB of text, 8.1 KiB for gRPC
    many.push_back(absl::StrCat("x", i, ": 0123456789"));
  }
  for (const std::vector<std::string>& headers :
       {std::vector<std::string>{"x-bin: no base64"}, many,
        std::vector<std::string>{
            absl::StrCat("x: ", std::string(9000, 'x'))}}) {
    Program::Options options;
    options.words = {
        "/usr/bin/h2load",      "--requests=5000",
        "--clients=10",         "--max-concurrent-streams=10",
        "--data=" + body,       "--header=content-type: application/grpc",
        "--header=te: trailers"};
    for (const std::string& header : headers) {
      options.words.push_back("--header=" + header);
    }
    options.words.push_back(absl::StrCat("http://", proxy_->address(), kCheck));
    EXPECT_EQ(RunProgram(std::move(options)).exit_code, 0);
  }
  // And in trailers, which no tool sends.
  for (int i = 0; i < 200; ++i) {
    RawClient culprit(proxy_->port());
    culprit.Call(1, kCheck, "", Http2Header("x-bin", "no base64"));
    EXPECT_TRUE(culprit.IsClosed());
  }
  ExpectUndisturbed(*others);
  // Whoever came next by a connection that the server closes could meet that.
  EXPECT_THAT(proxy_->errors(), Not(HasSubstr("upstream")));
}

TEST_F(ProxyTest, PassesOnChecksAndWatchersOfHealth) {
  const auto health = Health::NewStub(proxy_->NewChannel());
  HealthCheckResponse response;
  grpc::ClientContext context;
  EXPECT_TRUE(health->Check(&context, HealthCheckRequest(), &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);

  grpc::ClientContext watching;
  watching.set_deadline(std::chrono::system_clock::now() +
                        std::chrono::seconds(30));
  const auto stream = health->Watch(&watching, HealthCheckRequest());
  ASSERT_TRUE(stream->Read(&response)) << proxy_->errors();
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->program().Signal(SIGTERM);
  EXPECT_TRUE(stream->Read(&response)) << proxy_->errors();
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(server_->program().Wait(), 0);
  server_->StartReady();
}

// With details in a trailer (grpc-status-details-bin), and by TLS as well.
TEST_F(ProxyTest, PassesOnWhatIsWrongWithARequest) {
  for (const auto& channel : {proxy_->NewChannel(), proxy_->NewTlsChannel()}) {
    const auto stub = v1::UserProfileService::NewStub(channel);
    v1::GetProfileResponse response;
    const grpc::Status status = Get(*stub, 404, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND)
        << status.error_message() << proxy_->errors();
    EXPECT_EQ(ReasonOf(status), "USER_NOT_FOUND");
  }
}

}  // namespace
}  // namespace userprofile::testing
