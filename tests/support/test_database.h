#ifndef USERPROFILE_TESTS_SUPPORT_TEST_DATABASE_H_
#define USERPROFILE_TESTS_SUPPORT_TEST_DATABASE_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/postgres/session.h"

namespace userprofile::testing {

// An empty database for one test, in a PostgreSQL server that all tests of the
// program share: started at first use, stopped and removed when the program
// ends, in whatever way. Not thread-safe, but for conninfo() and Connect().
//
//   TestDatabase database;
//   auto session = database.Connect();
//
// What goes wrong here ends the program with a message: no test could go on.
class TestDatabase {
 public:
  TestDatabase();
  ~TestDatabase();  // drops the database, and starts the server if it is down
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // For postgres::Connect and --database. Stays the same over restarts.
  const std::string& conninfo() const { return conninfo_; }

  // A new session, with the search path of the database until it looks for the
  // tables of the service. Waits for a server that comes back after KillServer.
  std::unique_ptr<postgres::Session> Connect() const;

  // Makes sessions as the server would.
  postgres::SessionFactory session_factory() const;

  // Runs SQL in a session of its own.
  postgres::Rows Execute(absl::string_view sql) const;

  // Ends every connection to this database; it accepts new ones at once.
  void CutConnections();

  // The server as a whole, for tests of what happens without it. StopServer
  // ends it in an orderly way; KillServer with SIGKILL, whereupon it comes back
  // by itself within a second.
  void StopServer();
  void StartServer();
  void KillServer();

 private:
  std::string name_;
  std::string conninfo_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_TEST_DATABASE_H_
