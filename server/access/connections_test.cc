#include "server/access/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace userprofile::access {
namespace {

// A listening socket of IPv6, which takes IPv4 too, and those who connect to
// it.
class ConnectionsTest : public ::testing::Test {
 protected:
  // Both ends of a connection; `watched` once it was added.
  struct Pair {
    int client;
    int server;
    std::string peer;  // as gRPC would name the client
    int port;          // of the client
    absl::optional<int> watched;
  };

  ConnectionsTest() {
    listening_ = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    const int off = 0;
    setsockopt(listening_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listening_, 16);
    socklen_t size = sizeof(address);
    getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = address.sin6_port;
  }

  ~ConnectionsTest() override {
    close(listening_);
    for (const int fd : open_) close(fd);
  }

  // From that address, and with IPv4 from that port unless it is 0.
  Pair Connect(Connections& connections, const char* from = "127.0.0.1",
               int own_port = 0) {
    Pair pair = {};
    const bool v4 = std::string(from) != "::1";
    pair.client =
        socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v4) {
      sockaddr_in own = {};
      own.sin_family = AF_INET;
      own.sin_port = htons(static_cast<in_port_t>(own_port));
      inet_pton(AF_INET, from, &own.sin_addr);
      bind(pair.client, reinterpret_cast<sockaddr*>(&own), sizeof(own));
      own.sin_port = port_;
      inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
      EXPECT_EQ(
          connect(pair.client, reinterpret_cast<sockaddr*>(&own), sizeof(own)),
          0);
    } else {
      sockaddr_in6 to = {};
      to.sin6_family = AF_INET6;
      to.sin6_port = port_;
      to.sin6_addr = in6addr_loopback;
      EXPECT_EQ(
          connect(pair.client, reinterpret_cast<sockaddr*>(&to), sizeof(to)),
          0);
    }
    sockaddr_storage own = {};
    socklen_t size = sizeof(own);
    getsockname(pair.client, reinterpret_cast<sockaddr*>(&own), &size);
    // The port is at the same place in both.
    const int port = ntohs(reinterpret_cast<sockaddr_in&>(own).sin_port);
    pair.peer = v4 ? absl::StrCat("ipv4:", from, ":", port)
                   : absl::StrCat("ipv6:%5B::1%5D:", port);
    pair.server = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    pair.watched = connections.Add(pair.server);
    pair.port = port;
    open_.push_back(pair.client);
    open_.push_back(pair.server);
    return pair;
  }

  // Whether the server's side has broken the connection.
  static bool IsBroken(const Pair& pair) {
    pollfd end = {pair.client, POLLIN, 0};
    char byte;
    return poll(&end, 1, 0) == 1 && recv(pair.client, &byte, 1, 0) <= 0;
  }

  // Sends as much as that, and waits until it has arrived.
  static void Send(const Pair& pair, std::size_t bytes) {
    const std::string text(bytes, 'x');
    std::string read(bytes, ' ');
    ASSERT_EQ(send(pair.client, text.data(), bytes, MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes));
    ASSERT_EQ(recv(pair.server, read.data(), bytes, MSG_WAITALL),
              static_cast<ssize_t>(bytes));
  }

  base::SteadyTime now_ = base::SteadyTime::Now();
  const base::SteadyClock clock_ = [this] { return now_; };

 private:
  int listening_;
  in_port_t port_;
  std::vector<int> open_;
};

TEST_F(ConnectionsTest, ANewcomerOverTheLimitIsRefusedAndNoneWhoWorks) {
  Connections connections({.max_connections = 2}, nullptr, clock_);
  const Pair first = Connect(connections);
  const Pair second = Connect(connections);
  connections.Welcome(first.peer);
  connections.Welcome(second.peer);
  now_ = now_ + absl::Minutes(5);
  EXPECT_FALSE(Connect(connections).watched);
  EXPECT_FALSE(IsBroken(first));
  EXPECT_FALSE(IsBroken(second));
  connections.Remove(*first.watched);
  EXPECT_TRUE(Connect(connections).watched);
}

TEST_F(ConnectionsTest, TheOldestStrangerMakesRoomOnceItHadItsTime) {
  Connections connections({.max_connections = 16}, nullptr, clock_);
  std::vector<Pair> pairs;
  for (int i = 0; i < 16; ++i) pairs.push_back(Connect(connections));
  connections.Welcome(pairs[0].peer);
  EXPECT_FALSE(Connect(connections).watched);
  now_ = now_ + absl::Seconds(1);
  EXPECT_TRUE(Connect(connections).watched);
  EXPECT_FALSE(IsBroken(pairs[0]));
  EXPECT_TRUE(IsBroken(pairs[1]));
  EXPECT_FALSE(IsBroken(pairs[2]));
}

TEST_F(ConnectionsTest, OneAddressHasItsShare) {
  Connections connections({.max_connections_per_address = 2}, nullptr, clock_);
  const Pair first = Connect(connections);
  Connect(connections);
  EXPECT_FALSE(Connect(connections).watched);
  EXPECT_TRUE(Connect(connections, "127.0.0.2").watched);
  connections.Remove(*first.watched);
  EXPECT_TRUE(Connect(connections).watched);
}

TEST_F(ConnectionsTest, AStrangerWhoSendsTooMuchIsBroken) {
  Connections connections({.max_stranger_bytes = 1000}, nullptr, clock_);
  const Pair good = Connect(connections);
  const Pair known = Connect(connections);
  const Pair known6 = Connect(connections, "::1");
  const Pair bad = Connect(connections);
  const Pair bad6 = Connect(connections, "::1");
  connections.Welcome(known.peer);
  connections.Welcome(known6.peer);
  Send(good, 1000);
  for (const Pair& pair : {known, known6, bad, bad6}) Send(pair, 1001);
  EXPECT_LT(connections.CheckStrangers(), absl::Seconds(1));
  for (const Pair& pair : {good, known, known6}) EXPECT_FALSE(IsBroken(pair));
  for (const Pair& pair : {bad, bad6}) EXPECT_TRUE(IsBroken(pair));
}

TEST_F(ConnectionsTest, StrangersOfOneAddressShareALimit) {
  Connections connections({.stranger_bytes_per_address = {100'000, 10'000}},
                          nullptr, clock_);
  const Pair known = Connect(connections);
  const Pair quiet = Connect(connections);
  const Pair first = Connect(connections);
  const Pair second = Connect(connections);
  Send(known, 60'000);
  connections.CheckStrangers();
  connections.Welcome(known.peer);  // then nobody answers for it any more
  Send(quiet, 1000);
  Send(first, 60'000);
  connections.CheckStrangers();
  EXPECT_FALSE(IsBroken(first));
  Send(second, 50'000);
  connections.CheckStrangers();
  for (const Pair& pair : {known, quiet}) EXPECT_FALSE(IsBroken(pair));
  EXPECT_TRUE(IsBroken(second));
  EXPECT_FALSE(Connect(connections).watched);
  EXPECT_TRUE(Connect(connections, "127.0.0.2").watched);
  now_ = now_ + absl::Seconds(2);
  EXPECT_TRUE(Connect(connections).watched);
}

TEST_F(ConnectionsTest, AllStrangersShareALimitThatIsNotOfThoseWhoWork) {
  Connections connections({.stranger_bytes = {100'000, 10'000}}, nullptr,
                          clock_);
  const Pair known = Connect(connections);
  connections.Welcome(known.peer);
  const Pair beside_it = Connect(connections);
  const Pair first = Connect(connections, "127.0.0.2");
  const Pair second = Connect(connections, "127.0.0.3");
  for (const Pair& pair : {beside_it, first, second}) Send(pair, 40'000);
  connections.CheckStrangers();
  EXPECT_FALSE(IsBroken(known));
  EXPECT_FALSE(IsBroken(beside_it));
  EXPECT_TRUE(IsBroken(second));
  EXPECT_FALSE(Connect(connections, "127.0.0.4").watched);
  EXPECT_TRUE(Connect(connections).watched);
  now_ = now_ + absl::Seconds(5);
  EXPECT_TRUE(Connect(connections, "127.0.0.4").watched);
}

TEST_F(ConnectionsTest, StrangersOfOneAddressHaveFewPlaces) {
  Connections connections({.max_strangers_per_address = 3}, nullptr, clock_);
  std::vector<Pair> pairs;
  for (int i = 0; i < 3; ++i) pairs.push_back(Connect(connections));
  EXPECT_FALSE(Connect(connections).watched);
  EXPECT_TRUE(Connect(connections, "127.0.0.2").watched);
  now_ = now_ + absl::Seconds(1);
  EXPECT_TRUE(Connect(connections).watched);
  EXPECT_TRUE(IsBroken(pairs[0]));
  EXPECT_FALSE(IsBroken(pairs[1]));
}

// A fleet whose clients connect by themselves, and call now and then.
TEST_F(ConnectionsTest, WhereSomebodyWorksStrangersMayStay) {
  Connections connections({.max_strangers_per_address = 3}, nullptr, clock_);
  std::vector<Pair> pairs;
  for (int i = 0; i < 3; ++i) pairs.push_back(Connect(connections));
  connections.Welcome(pairs[0].peer);
  for (int i = 0; i < 10; ++i) pairs.push_back(Connect(connections));
  for (const Pair& pair : pairs) {
    EXPECT_TRUE(pair.watched);
    EXPECT_FALSE(IsBroken(pair));
  }
  // After each has reached its age, too, but not for ever.
  for (const Pair& pair : pairs) connections.Remove(*pair.watched);
  now_ = now_ + absl::Minutes(10);
  std::vector<Pair> later;
  for (int i = 0; i < 10; ++i) later.push_back(Connect(connections));
  for (const Pair& pair : later) EXPECT_TRUE(pair.watched);
  now_ = now_ + absl::Minutes(30);
  EXPECT_TRUE(Connect(connections).watched);
  EXPECT_TRUE(IsBroken(later[0]));
}

// However long ago the first call on a connection was.
TEST_F(ConnectionsTest, WhereSomebodyWorkedUntilNowStrangersMayStay) {
  Connections connections({.max_strangers_per_address = 1}, nullptr, clock_);
  const Pair known = Connect(connections);
  connections.Welcome(known.peer);
  now_ = now_ + absl::Hours(2);
  connections.Remove(*known.watched);
  const Pair first = Connect(connections);
  EXPECT_TRUE(Connect(connections).watched);
  EXPECT_FALSE(IsBroken(first));
}

TEST_F(ConnectionsTest, ToConnectCostsSomethingUntilACallIsLetIn) {
  Connections connections({.stranger_bytes_per_address = {2560, 256}}, nullptr,
                          clock_);
  for (int i = 0; i < 30; ++i) {
    const Pair good = Connect(connections);
    ASSERT_TRUE(good.watched);
    connections.Welcome(good.peer);
  }
  int taken = 0;
  for (int i = 0; i < 30; ++i) {
    const Pair bad = Connect(connections);
    if (!bad.watched) continue;
    connections.Remove(*bad.watched);
    ++taken;
  }
  EXPECT_EQ(taken, 11);
  EXPECT_TRUE(Connect(connections, "127.0.0.2").watched);
}

TEST_F(ConnectionsTest, WhoHangsUpHasSentWhatItSent) {
  Connections connections({.stranger_bytes_per_address = {100'000, 64'000}},
                          nullptr, clock_);
  for (int i = 0; i < 3; ++i) {
    const Pair stranger = Connect(connections);
    ASSERT_TRUE(stranger.watched);
    Send(stranger, 40'000);
    connections.Remove(*stranger.watched);
  }
  EXPECT_FALSE(Connect(connections).watched);
}

TEST_F(ConnectionsTest, ANameIsThatOfTheLastWhoCameByIt) {
  Connections connections({.max_stranger_bytes = 1000}, nullptr, clock_);
  const Pair first = Connect(connections);
  // Hangs up without a word, and comes again before anybody noticed.
  const linger at_once = {1, 0};
  setsockopt(first.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  const int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(dup3(other, first.client, O_CLOEXEC), first.client);
  close(other);
  const Pair second = Connect(connections, "127.0.0.1", first.port);
  ASSERT_EQ(second.peer, first.peer);
  connections.Remove(*first.watched);
  connections.Welcome(second.peer);
  Send(second, 1001);
  connections.CheckStrangers();
  EXPECT_FALSE(IsBroken(second));
}

TEST_F(ConnectionsTest, WhoComesByAUnixSocketIsNoStranger) {
  Connections connections({}, nullptr, clock_);
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  EXPECT_TRUE(connections.Add(ends[1]));
  EXPECT_EQ(connections.CheckStrangers(), absl::InfiniteDuration());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace userprofile::access
