#ifndef USERPROFILE_SERVER_POSTGRES_ROWS_DATA_H_
#define USERPROFILE_SERVER_POSTGRES_ROWS_DATA_H_

#include <pqxx/pqxx>

#include "server/postgres/rows.h"

namespace userprofile::postgres {

// The driver's result behind Rows. For this folder only.
class Rows::Data {
 public:
  explicit Data(const pqxx::result& r) : result(r) {}
  const pqxx::result result;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ROWS_DATA_H_
