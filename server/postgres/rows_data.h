#ifndef USERPROFILE_SERVER_POSTGRES_ROWS_DATA_H_
#define USERPROFILE_SERVER_POSTGRES_ROWS_DATA_H_

#include <pqxx/pqxx>

#include <cstddef>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/postgres/rows.h"

namespace userprofile::postgres {

// The driver's result behind Rows, and where its values lie: to ask the driver
// for a value costs more than to read a number. For this folder only.
class Rows::Data {
 public:
  explicit Data(const pqxx::result& result);

  struct Value {
    absl::string_view text;
    bool is_null;
  };
  const Value& value(std::size_t row, int column) const {
    return values_[row * columns_ + static_cast<std::size_t>(column)];
  }
  std::size_t rows() const { return rows_; }
  std::size_t affected() const { return affected_; }

 private:
  const pqxx::result result_;  // owns the text
  const std::size_t rows_;
  const std::size_t columns_;
  const std::size_t affected_;
  std::vector<Value> values_;  // row by row
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ROWS_DATA_H_
