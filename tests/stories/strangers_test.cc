// Strangers without any credentials attack the port for calls: whoever calls
// meanwhile is served.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/free_port.h"
#include "tests/support/http2_frames.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

// By how much its memory may grow, and be more afterwards.
#ifdef USERPROFILE_SANITIZED
constexpr int kMayGrow = 600;
constexpr int kMayKeep = 600;
#else
constexpr int kMayGrow = 100;
constexpr int kMayKeep = 20;
#endif

constexpr absl::Duration kAttack = absl::Seconds(4);
constexpr int kDrainSeconds = 2;

// The headers of a call, and the same once the other end remembers them.
std::string Call() {
  return Http2Call("/userprofile.v1.UserProfileService/GetProfile");
}
constexpr char kSameCall[] = "\xc3\xc2\xc1\xc0\xbf\xbe";

std::string ResetCall(std::uint32_t number, const std::string& headers) {
  const std::uint32_t stream = 2 * number + 1;
  return Http2Frame(kHttp2Headers, kHttp2EndHeaders, stream, headers) +
         Http2Frame(kHttp2RstStream, 0, stream, BigEndian(8, 4));
}

// What a stranger says first on each connection, and then, for ever, as part
// 1, 2, and so on.
struct Attack {
  const char* name;
  std::string begin;
  std::string (*go_on)(std::uint32_t number);
};

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

const Attack kAttacks[] = {
    {"EndlessHeaders",
     Http2Greeting() + Http2Frame(kHttp2Headers, 0, 1, Call()),
     [](std::uint32_t) {
       return Http2Frame(kHttp2Continuation, 0, 1,
                         Http2Header("x", std::string(120, 'x')));
     }},
    // A string that says it is 16 MiB long, and comes in small pieces.
    {"EndlessString",
     Http2Greeting() +
         Http2Frame(kHttp2Headers, 0, 1,
                    Call() + std::string("\0\1x\x7f\x81\xff\xff\x07", 8)),
     [](std::uint32_t) {
       return Http2Frame(kHttp2Continuation, 0, 1, std::string(64, 'x'));
     }},
    {"EmptyContinuations",
     Http2Greeting() + Http2Frame(kHttp2Headers, 0, 1, Call()),
     [](std::uint32_t) { return Http2Frame(kHttp2Continuation, 0, 1, ""); }},
    {"RapidReset", Http2Greeting() + ResetCall(0, Call()),
     [](std::uint32_t number) { return ResetCall(number, kSameCall); }},
    {"SettingsFlood", Http2Greeting(),
     [](std::uint32_t number) {
       return Http2Frame(kHttp2Settings, 0, 0,
                         BigEndian(4, 2) + BigEndian(65535 + number % 2, 4));
     }},
    {"PingFlood", Http2Greeting(),
     [](std::uint32_t) { return Http2Frame(kHttp2Ping, 0, 0, "12345678"); }},
};

// At work from construction until destruction: each comes again whenever it is
// cut off, and reads what it is told only to throw it away.
class Strangers {
 public:
  Strangers(const Attack& attack, int port) : attack_(attack), port_(port) {
    std::uint32_t number = 0;
    while (rest_.size() < (std::size_t{4} << 20)) {
      rest_ += attack.go_on(++number);
    }
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this] {
        while (!stopping_) RunOnce();
      });
    }
  }

  ~Strangers() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  // A connection to the server from an address that only strangers come from,
  // one of several; -1 if it takes none.
  static int Connect(int port, std::uint32_t address = 0) {
    sockaddr_in from = {};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + address);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof(from)) == 0 &&
        connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) {
      return fd;
    }
    close(fd);
    return -1;
  }

 private:
  void RunOnce() const {
    const int fd = Connect(port_);
    if (fd < 0) return;
    std::string bytes = attack_.begin + rest_;
    std::size_t sent = 0;
    char answer[65536];
    bool open = true;
    while (open && !stopping_ && sent < bytes.size()) {
      pollfd ready = {fd, POLLIN | POLLOUT, 0};
      poll(&ready, 1, 100);
      if ((ready.revents & POLLOUT) != 0) {
        const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        open = n >= 0 || errno == EAGAIN;
        if (n > 0) sent += static_cast<std::size_t>(n);
      }
      if ((ready.revents & POLLIN) != 0) {
        open = open && recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0;
      }
      open = open && (ready.revents & POLLERR) == 0;
    }
    close(fd);
  }

  const Attack& attack_;
  const int port_;
  std::string rest_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

class StrangersTest : public ::testing::TestWithParam<Attack> {
 protected:
  StrangersTest() {
    setenv("ASAN_OPTIONS", "quarantine_size_mb=16", /*overwrite=*/0);
    server_.ListenOn(absl::StrCat("127.0.0.1:", port_));
    server_.StartReady();
  }

  ~StrangersTest() override { Stop(); }

  // In time, whatever others do.
  void Stop() {
    server_.program().Signal(SIGTERM);
    EXPECT_EQ(server_.program().Wait(absl::Seconds(kDrainSeconds + 2)), 0)
        << server_.program().errors();
  }

  // Connections that say that and nothing more, from so many addresses: as many
  // as asked for, or as it gets.
  std::vector<int> Hold(int count, int addresses, const std::string& said) {
    std::vector<int> held;
    for (int i = 0; i < count; ++i) {
      const int fd =
          Strangers::Connect(port_, static_cast<std::uint32_t>(i % addresses));
      if (fd < 0) continue;
      send(fd, said.data(), said.size(), MSG_NOSIGNAL);
      held.push_back(fd);
    }
    return held;
  }

  // A call on a new connection.
  bool ServesANewcomer(std::chrono::seconds deadline) const {
    v1::UpsertUserResponse response;
    const grpc::Status status =
        Upsert(*server_.NewStub(), 1, &response, deadline);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return status.ok();
  }

  bool Shows(const std::string& metric) const {
    return absl::StrContains(server_.Get("/metrics").body, metric);
  }

  // Not one of the server's own: it would be stopped with it, which takes as
  // long as the disk.
  const TestDatabase database_;
  const int port_ = FreePort();
  ServerProgram server_{
      database_.conninfo(),
      {"--migrate", "--drain-timeout", absl::StrCat(kDrainSeconds, "s")}};
};

TEST_P(StrangersTest, DoNotKeepOthersFromCalling) {
  StoreUsers(*server_.NewStub(), 10);
  auto others = StartLoad(server_, 2, 10);
  const int before = server_.program().MemoryMegabytes();
  int most = before;
  auto strangers = std::make_unique<Strangers>(GetParam(), port_);
  const base::SteadyTime end = base::SteadyTime::Now() + kAttack;
  for (int served = others->ok(); base::SteadyTime::Now() < end;
       served = others->ok()) {
    most = std::max(most, server_.program().MemoryMegabytes());
    EXPECT_TRUE(Eventually([&] { return others->ok() > served; }));
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_TRUE(ServesANewcomer(std::chrono::seconds(10)));
  strangers.reset();
  const Load::Tally tally = others->Stop();
  EXPECT_TRUE(tally.failures.empty()) << tally.failures.begin()->first << ": "
                                      << tally.failures.begin()->second;
  EXPECT_EQ(tally.created + tally.not_found, 0);
  EXPECT_LT(most, before + kMayGrow);
  RecordProperty("megabytes_before", before);
  RecordProperty("megabytes_most", most);
  EXPECT_TRUE(Eventually(
      [&] { return server_.program().MemoryMegabytes() < before + kMayKeep; },
      absl::Seconds(20)))
      << server_.program().MemoryMegabytes() << " MiB after " << before;
  EXPECT_FALSE(Shows("{outcome=\"too_many_bytes\"} 0\n"));

  // And it stops when it is told to, though they go on.
  strangers = std::make_unique<Strangers>(GetParam(), port_);
  Stop();
}

INSTANTIATE_TEST_SUITE_P(Attacks, StrangersTest, ::testing::ValuesIn(kAttacks),
                         [](const auto& attack) {
                           return std::string(attack.param.name);
                         });

TEST_F(StrangersTest, ServesAgainOnceDescriptorsHadRunOut) {
#ifdef USERPROFILE_SANITIZED
  // "object has invalid vptr", for each that it meets for the first time.
  GTEST_SKIP() << "UBSan looks at memory by a pipe, which takes descriptors";
#endif
  // Fewer than it knew of as it started.
  const rlimit few = {256, 256};
  ASSERT_EQ(prlimit(server_.program().pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  const std::vector<int> idle = Hold(300, 5, "");
  EXPECT_TRUE(Eventually([this] {
    return absl::StrContains(server_.program().errors(), "too many files open");
  })) << server_.program().errors();
  // Who comes now does not wait for one of them.
  const rlimit none = {200, 200};
  ASSERT_EQ(prlimit(server_.program().pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  const int newcomer = Strangers::Connect(port_);
  pollfd closed = {newcomer, POLLIN, 0};
  EXPECT_EQ(poll(&closed, 1, 10'000), 1);
  close(newcomer);
  for (const int fd : idle) close(fd);
  EXPECT_TRUE(ServesANewcomer(std::chrono::seconds(1)));
}

TEST_F(StrangersTest, ThousandsOfIdleOnesDoNotKeepACallerOut) {
  const std::vector<int> idle = Hold(10000, 1, "");
  EXPECT_GT(idle.size(), 3000u);  // if this process may have so many
  EXPECT_TRUE(ServesANewcomer(std::chrono::seconds(10)));
  EXPECT_FALSE(Shows("{outcome=\"too_many_strangers\"} 0\n"));
  EXPECT_TRUE(
      absl::StrContains(server_.program().errors(), "no call was let in yet"));
  for (const int fd : idle) close(fd);
}

// As many as a connection may begin, of a kind that lasts.
std::string BeginCalls(const std::string& path, const std::string& message) {
  std::string said = Http2Greeting();
  for (std::uint32_t stream = 1; stream < 2 * 64; stream += 2) {
    said += Http2Frame(kHttp2Headers, kHttp2EndHeaders, stream,
                       stream == 1 ? Http2Call(path) : kSameCall);
    if (!message.empty()) {
      said += Http2Frame(kHttp2Data, kHttp2EndStream, stream, message);
    }
  }
  return said;
}

TEST_F(StrangersTest, CallsThatNeverEndDoNotTakeTheMemory) {
  const std::string kinds[] = {
      BeginCalls("/userprofile.v1.UserProfileService/GetProfile", ""),
      BeginCalls("/grpc.health.v1.Health/Watch", std::string(5, '\0'))};
  for (const std::string& said : kinds) {
    const int before = server_.program().MemoryMegabytes();
    const std::vector<int> held = Hold(500, 1, said);
    // They come again as soon as others may have their places.
    const base::SteadyTime end = base::SteadyTime::Now() + kAttack;
    std::vector<int> later;
    int most = 0;
    while (base::SteadyTime::Now() < end) {
      for (const int fd : Hold(20, 1, said)) later.push_back(fd);
      EXPECT_TRUE(ServesANewcomer(std::chrono::seconds(5)));
      most = std::max(most, server_.program().MemoryMegabytes());
      absl::SleepFor(absl::Milliseconds(50));
    }
    EXPECT_LT(most, before + kMayGrow);
    RecordProperty("megabytes_before", before);
    RecordProperty("megabytes_most", most);
    for (const int fd : held) close(fd);
    for (const int fd : later) close(fd);
    EXPECT_TRUE(Eventually(
        [&] { return server_.program().MemoryMegabytes() < before + kMayKeep; },
        absl::Seconds(20)))
        << server_.program().MemoryMegabytes() << " MiB after " << before;
  }
}

}  // namespace
}  // namespace userprofile::testing
