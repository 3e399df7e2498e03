#ifndef USERPROFILE_TESTS_SUPPORT_POSTGRES_PROXY_H_
#define USERPROFILE_TESTS_SUPPORT_POSTGRES_PROXY_H_

#include <atomic>
#include <list>
#include <string>
#include <thread>

#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// Stands between a program and PostgreSQL, counts the statements that pass, and
// can freeze at one of them: it reaches PostgreSQL, but what comes of it, and
// all else from there on, reaches nobody. So a test can kill the program while
// any statement of its choice is under way. What goes wrong ends the test
// program with a message.
class PostgresProxy {
 public:
  // `conninfo` is TestDatabase's. Freezes at the statement `freeze_at`, counted
  // from 1 over all connections; 0 is never.
  explicit PostgresProxy(const std::string& conninfo, int freeze_at = 0);
  ~PostgresProxy();  // cuts all connections
  PostgresProxy(const PostgresProxy&) = delete;
  PostgresProxy& operator=(const PostgresProxy&) = delete;

  // How to connect through it.
  const std::string& conninfo() const { return conninfo_; }

  // From now on PostgreSQL can't close a connection: clients get what it says
  // last, and nothing more.
  void HoldClosing() { hold_closing_ = true; }

  int statements() const { return statements_; }
  bool frozen() const { return frozen_; }

 private:
  struct Connection;

  void Run();
  void Accept();

  // False when the connection is over.
  bool FromClient(Connection& connection);
  bool FromServer(Connection& connection);

  // Counts what is whole in `buffer`; true at the statement to freeze at.
  bool Count(Connection& connection);

  TempDir directory_;
  std::string upstream_;  // the path of PostgreSQL's socket
  std::string conninfo_;
  const int freeze_at_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};  // a pipe; closed to end the thread
  std::atomic<int> statements_ = 0;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> hold_closing_ = false;
  std::list<Connection> connections_;  // only the thread's
  std::thread thread_;                 // last: starts when all else is made
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_POSTGRES_PROXY_H_
