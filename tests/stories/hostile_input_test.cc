// Strangers who can reach the port send what they like: the server neither
// falls, nor grows, nor stops answering others.

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::testing {
namespace {

// AddressSanitizer keeps what was freed for a while; and LeakSanitizer looks
// for leaks when the server ends.
#ifdef USERPROFILE_SANITIZED
constexpr int kMayGrowMegabytes = 600;
#else
constexpr int kMayGrowMegabytes = 64;
#endif

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum FrameType : std::uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoAway,
  kWindowUpdate,
  kContinuation,
};
constexpr std::uint8_t kEndStream = 1;
constexpr std::uint8_t kEndHeaders = 4;

// What one hostile client sends: a conversation that starts well, and goes
// wrong in a way that its number decides.
class HostileInput {
 public:
  explicit HostileInput(unsigned number) : random_(number) {
    using Kind = void (HostileInput::*)();
    static constexpr Kind kKinds[] = {
        &HostileInput::NoHttp2,        &HostileInput::BrokenPreface,
        &HostileInput::RandomFrames,   &HostileInput::BrokenLengths,
        &HostileInput::BrokenHeaders,  &HostileInput::OddRequest,
        &HostileInput::BrokenMessage,  &HostileInput::Bomb,
        &HostileInput::SettingsFlood,  &HostileInput::PingFlood,
        &HostileInput::ResetFlood,     &HostileInput::WindowAbuse,
        &HostileInput::EndlessHeaders, &HostileInput::MutatedRequests,
    };
    (this->*kKinds[number % std::size(kKinds)])();
    if (Roll(4) == 0) bytes_.resize(Roll(bytes_.size() + 1));  // hangs up
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::size_t Roll(std::size_t sides) { return random_() % sides; }

  std::string Noise(std::size_t size) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random_());
    return noise;
  }

  static std::string BigEndian(std::uint32_t value, int bytes) {
    std::string text;
    while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes));
    return text;
  }

  // A frame that says it has `length` bytes, whatever it has.
  void Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
             const std::string& payload, std::uint32_t length) {
    absl::StrAppend(&bytes_, BigEndian(length, 3), BigEndian(type, 1),
                    BigEndian(flags, 1), BigEndian(stream, 4), payload);
  }
  void Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
             const std::string& payload) {
    Frame(type, flags, stream, payload,
          static_cast<std::uint32_t>(payload.size()));
  }

  void Begin() {
    bytes_ = kPreface;
    Frame(kSettings, 0, 0, "");
  }

  // A header without compression and index.
  static std::string Header(const std::string& name, const std::string& value) {
    return absl::StrCat(
        std::string(1, '\0'),
        BigEndian(static_cast<std::uint32_t>(name.size()), 1), name,
        BigEndian(static_cast<std::uint32_t>(value.size()), 1), value);
  }

  // Of every method that there is.
  std::string Path() {
    static const auto& paths = *new std::vector<std::string>([] {
      std::vector<std::string> all = {
          "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
          "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
      const auto& service = *v1::Profile::descriptor()->file()->service(0);
      for (int i = 0; i < service.method_count(); ++i) {
        all.push_back(absl::StrCat("/", service.full_name(), "/",
                                   service.method(i)->name()));
      }
      return all;
    }());
    return paths[Roll(paths.size())];
  }

  std::string Headers(const std::string& more = "") {
    return absl::StrCat(Header(":method", "POST"), Header(":scheme", "http"),
                        Header(":path", Path()), Header(":authority", "x"),
                        Header("content-type", "application/grpc"),
                        Header("te", "trailers"), more);
  }

  // As gRPC frames a message.
  static std::string Message(const std::string& body, bool compressed = false) {
    return absl::StrCat(BigEndian(compressed ? 1 : 0, 1),
                        BigEndian(static_cast<std::uint32_t>(body.size()), 4),
                        body);
  }

  void Request(std::uint32_t stream, const std::string& data,
               const std::string& more_headers = "") {
    Frame(kHeaders, kEndHeaders, stream, Headers(more_headers));
    for (std::size_t at = 0; at < data.size() || at == 0; at += 16384) {
      const bool last = at + 16384 >= data.size();
      Frame(kData, last ? kEndStream : 0, stream, data.substr(at, 16384));
    }
  }

  void NoHttp2() {
    switch (Roll(3)) {
      case 0:
        bytes_ = Noise(Roll(2000));
        break;
      case 1:
        bytes_ = absl::StrCat("GET /", Noise(Roll(50)), " HTTP/1.1\r\n\r\n");
        break;
      case 2:  // a greeting of TLS
        bytes_ = absl::StrCat("\x16\x03\x01", BigEndian(300, 2), Noise(300));
        break;
    }
  }

  void BrokenPreface() {
    Begin();
    bytes_[Roll(sizeof(kPreface) - 1)] ^= static_cast<char>(1 + Roll(255));
  }

  void RandomFrames() {
    Begin();
    for (std::size_t n = Roll(30); n > 0; --n) {
      Frame(static_cast<std::uint8_t>(Roll(12)),
            static_cast<std::uint8_t>(random_()),
            static_cast<std::uint32_t>(Roll(2) == 0 ? Roll(10) : random_()),
            Noise(Roll(200)));
    }
  }

  void BrokenLengths() {
    Begin();
    Frame(static_cast<std::uint8_t>(Roll(10)), kEndHeaders,
          static_cast<std::uint32_t>(Roll(3)), Noise(Roll(100)),
          static_cast<std::uint32_t>(Roll(2) == 0 ? Roll(200) : 0xffffff));
  }

  void BrokenHeaders() {
    Begin();
    std::string block = Headers();
    switch (Roll(5)) {
      case 0:
        block = Noise(Roll(300));
        break;
      case 1:  // an index that is nowhere, or a number without an end
        block += absl::StrCat("\xff", std::string(Roll(20), '\xff'));
        break;
      case 2:  // sizes of the table
        for (int i = 0; i < 100; ++i) block += "\x3f\xe1\xff\x03";
        break;
      case 3:  // broken Huffman
        block += absl::StrCat(std::string("\0\x01x", 3), "\x8a", Noise(10));
        break;
      case 4:
        block[Roll(block.size())] ^= static_cast<char>(1 + Roll(255));
        break;
    }
    Frame(kHeaders, kEndHeaders | kEndStream, 1, block);
  }

  void OddRequest() {
    Begin();
    static const std::string kOdd[] = {
        Header("grpc-timeout", "soon"),
        Header("grpc-timeout", "99999999999S"),
        Header("grpc-timeout", "-1n"),
        Header("grpc-encoding", "no-such"),
        Header("content-type", "text/html"),
        Header(":path", "/again"),
        Header(":no-such", "pseudo"),
        Header("Upper", "case"),
        Header("", ""),
        Header("traceparent", std::string(120, 'f')),
        Header("authorization", std::string("Bearer \0\n", 9)),
        Header("grpc-trace-bin", "=\x01not base64"),
        Header("x-bin", std::string(126, '\xff')),
    };
    Request(1, Message(Noise(Roll(100))), kOdd[Roll(std::size(kOdd))]);
    Frame(kHeaders, kEndHeaders | kEndStream, 3, Header(":method", "GET"));
  }

  void BrokenMessage() {
    Begin();
    std::string message = Message(Noise(Roll(300)));
    switch (Roll(4)) {
      case 0:  // says that it is longer than it is
        message.replace(1, 4, BigEndian(random_(), 4));
        break;
      case 1:
        message[0] = static_cast<char>(random_());
        break;
      case 2:  // too long
        message = Message(Noise(65537 + Roll(100000)));
        break;
      case 3:  // several where one is due
        message += message + message;
        break;
    }
    Request(1, message);
  }

  // 60 KiB that become 60 MiB, or what only says so.
  void Bomb() {
    static const std::string& zeros = *new std::string([] {
      const std::string plain(60 << 20, '\0');
      uLongf size = compressBound(plain.size());
      std::string packed(size, '\0');
      compress(reinterpret_cast<Bytef*>(packed.data()), &size,
               reinterpret_cast<const Bytef*>(plain.data()), plain.size());
      packed.resize(size);
      return packed;
    }());
    Begin();
    const bool real = Roll(2) == 0;
    Request(1, Message(real ? zeros : Noise(Roll(1000)), true),
            Header("grpc-encoding", real || Roll(2) == 0 ? "deflate" : "gzip"));
  }

  void SettingsFlood() {
    Begin();
    for (std::size_t n = Roll(500); n > 0; --n) {
      Frame(kSettings, 0, 0,
            absl::StrCat(BigEndian(static_cast<std::uint32_t>(Roll(9)), 2),
                         BigEndian(random_(), 4)));
    }
  }

  void PingFlood() {
    Begin();
    for (std::size_t n = Roll(500); n > 0; --n) {
      Frame(kPing, 0, 0, "12345678");
    }
  }

  void ResetFlood() {
    Begin();
    for (std::uint32_t n = 0; n < Roll(200) + 50; ++n) {
      Frame(kHeaders, kEndHeaders, 2 * n + 1, Headers());
      Frame(kRstStream, 0, 2 * n + 1, BigEndian(8, 4));
    }
  }

  void WindowAbuse() {
    Begin();
    Request(1, Message(Noise(20)));
    for (std::size_t n = Roll(50); n > 0; --n) {
      Frame(kWindowUpdate, 0, static_cast<std::uint32_t>(Roll(3)),
            BigEndian(Roll(2) == 0 ? 0 : 0x7fffffff, 4));
      Frame(kPriority, 0, 1, absl::StrCat(BigEndian(1, 4), "x"));
    }
  }

  void EndlessHeaders() {
    Begin();
    Frame(kHeaders, 0, 1, Headers());
    for (std::size_t n = Roll(300); n > 0; --n) {
      Frame(kContinuation, 0, 1, Header("x", std::string(100, 'x')));
    }
  }

  void MutatedRequests() {
    Begin();
    for (std::uint32_t n = 0; n < 5; ++n) {
      Request(2 * n + 1, Message(std::string("\x08\x2a", 2)));
    }
    for (std::size_t n = 1 + Roll(8); n > 0; --n) {
      const std::size_t at =
          sizeof(kPreface) - 1 + Roll(bytes_.size() - sizeof(kPreface) + 1);
      bytes_[at] ^= static_cast<char>(1 << Roll(8));
    }
  }

  std::minstd_rand random_;
  std::string bytes_;
};

class HostileInputTest : public ::testing::Test {
 protected:
  HostileInputTest() {
    // Hundreds of megabytes, usually, in which no growth would be seen.
    setenv("ASAN_OPTIONS", "quarantine_size_mb=16", /*overwrite=*/0);
    server_.StartReady();
  }

  ~HostileInputTest() override {
    server_.program().Signal(SIGTERM);
    EXPECT_EQ(server_.program().Wait(), 0) << server_.program().errors();
  }

  std::string socket_path() const {
    return std::string(absl::StripPrefix(server_.address(), "unix:"));
  }

  int Connect() const {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, socket_path().c_str(), sizeof(to.sun_path) - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0)
        << std::strerror(errno);
    return fd;
  }

  // Sends all of it while reading what comes, and waits for the server to hang
  // up, for which it has a minute.
  void Send(const std::string& bytes) const {
    const int fd = Connect();
    std::size_t sent = 0;
    bool finished = false;
    bool open = true;
    char answer[65536];
    while (open) {
      const bool sending = sent < bytes.size();
      if (!sending && !std::exchange(finished, true)) shutdown(fd, SHUT_WR);
      pollfd ready = {fd, static_cast<short>(POLLIN | (sending ? POLLOUT : 0)),
                      0};
      if (poll(&ready, 1, 60000) <= 0) {
        ADD_FAILURE() << "the server does not hang up";
        break;
      }
      if ((ready.revents & POLLOUT) != 0) {
        const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        // Whoever was hung up on has sent all that could be sent.
        sent = n < 0 && errno != EAGAIN
                   ? bytes.size()
                   : sent + static_cast<std::size_t>(std::max<ssize_t>(n, 0));
      }
      if ((ready.revents & (POLLIN | POLLHUP)) != 0) {
        open = recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0 ||
               errno == EAGAIN;
      }
    }
    close(fd);
  }

  void ExpectBounded(int before) {
    const int after = server_.program().MemoryMegabytes();
    EXPECT_LT(after, before + kMayGrowMegabytes);
    RecordProperty("megabytes_before", before);
    RecordProperty("megabytes_after", after);
  }

  // The well-behaved, while the others do what they do.
  std::unique_ptr<Load> StartOthers() {
    std::vector<std::unique_ptr<Stub>> stubs;
    stubs.push_back(server_.NewStub());
    v1::UpsertUserResponse response;
    EXPECT_TRUE(Upsert(*stubs[0], 1, &response).ok());
    return std::make_unique<Load>(std::move(stubs), 1);
  }

  static void ExpectUndisturbed(Load& others, int at_least) {
    EXPECT_TRUE(Eventually([&] { return others.ok() >= at_least; }));
    const Load::Tally tally = others.Stop();
    EXPECT_TRUE(tally.failures.empty()) << tally.failures.begin()->first;
    EXPECT_EQ(tally.created, 0);
  }

  TempDir directory_;
  ServerProgram server_{absl::StrCat("embedded:", directory_ / "database")};
};

TEST_F(HostileInputTest, SurvivesTenThousandMalformedInputs) {
  constexpr unsigned kWarmUp = 1000;
  constexpr unsigned kInputs = 10000;
  const auto others = StartOthers();
  std::atomic<unsigned> next{0};
  const auto send_until = [&](unsigned end) {
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        for (unsigned n = next++; n < end && !HasFailure(); n = next++) {
          Send(HostileInput(n).bytes());
        }
      });
    }
    for (std::thread& client : clients) client.join();
    next = end;
  };
  send_until(kWarmUp);
  const int before = server_.program().MemoryMegabytes();
  send_until(kInputs);
  ExpectBounded(before);
  ExpectUndisturbed(*others, 1000);
}

TEST_F(HostileInputTest, ServesOthersDuringAFlood) {
  if (std::system("command -v h2load >/dev/null") != 0) {
    GTEST_SKIP() << "h2load is not installed (package nghttp2-client)";
  }
  const std::string body = directory_ / "body";
  std::ofstream(body) << std::string("\0\0\0\0\2\x08\1", 7);
  const auto others = StartOthers();
  const int before = server_.program().MemoryMegabytes();
  const std::vector<std::vector<std::string>> floods = {
      {"http://x/"},
      {"-H", "content-type: application/grpc", "-H", "te: trailers", "-d", body,
       "http://x/userprofile.v1.UserProfileService/GetProfile"},
      {"-H", "content-type: application/grpc", "-H", "te: trailers",
       "http://x/grpc.health.v1.Health/Check"}};
  for (const auto& flood : floods) {
    Program::Options options;
    options.words = {"/usr/bin/h2load", "--requests=20000", "--clients=50",
                     "--max-concurrent-streams=20",
                     "--base-uri=unix:" + socket_path()};
    options.words.insert(options.words.end(), flood.begin(), flood.end());
    const Outcome outcome = RunProgram(std::move(options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    EXPECT_NE(outcome.output.find("20000 done"), std::string::npos)
        << outcome.output;
  }
  ExpectBounded(before);
  ExpectUndisturbed(*others, 100);
}

}  // namespace
}  // namespace userprofile::testing
