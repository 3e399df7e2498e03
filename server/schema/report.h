#ifndef USERPROFILE_SERVER_SCHEMA_REPORT_H_
#define USERPROFILE_SERVER_SCHEMA_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/schema/contract.h"

namespace userprofile::schema {

// Reasons of this layer's errors (base::ErrorReason).
inline constexpr char kSchemaNotReady[] = "SCHEMA_NOT_READY";

// One thing that the contract asks for and the database has.
struct Holding {
  std::string object;    // such as "users.first_name"
  std::string expected;  // such as "character varying"
};

// One thing that is not as the contract asks.
struct Breach {
  Severity severity;
  std::string object;
  std::string expected;
  std::string found;   // kMissing, or what is there instead
  std::string remedy;  // one SQL statement, or what a person must decide
};

inline constexpr char kMissing[] = "missing";

// One line for people: "users.first_name is missing".
std::string Describe(const Breach& breach);

// What an inspection found.
struct Report {
  std::vector<Holding> holdings;
  std::vector<Breach> breaches;  // blocking ones first, in the contract's order

  // Whether `migrate up` has something to do that may mend the breaches.
  bool migrations_pending = false;

  // Labels of those that a newer program applied, and this one does not know.
  std::vector<std::string> unknown_migrations;

  int Count(Severity severity) const;

  // OK if no breach blocks. Otherwise UNAVAILABLE with the reason
  // SCHEMA_NOT_READY: the first breach, and the command to run next.
  absl::Status ToStatus() const;
};

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REPORT_H_
