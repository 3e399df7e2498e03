#ifndef USERPROFILE_SERVER_POSTGRES_ROWS_H_
#define USERPROFILE_SERVER_POSTGRES_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"

namespace pqxx {
class result;
}

namespace userprofile::postgres {

// The rows that a statement returned: values in PostgreSQL's text form. A cheap
// handle on immutable data; views of values live as long as any copy of it.
class Rows {
 public:
  // No rows.
  Rows() = default;

  // What the driver returned.
  explicit Rows(const pqxx::result& result);

  std::size_t size() const;
  bool empty() const { return size() == 0; }

  // How many rows a statement wrote, as PostgreSQL tells it.
  std::size_t affected() const;

  bool IsNull(std::size_t row, int column) const;

  // The value; empty for NULL.
  absl::string_view Text(std::size_t row, int column) const;

  // A bigint; 0 for NULL and for what is no number.
  std::int64_t Int64(std::size_t row, int column) const;

  // A double precision number, infinities included; 0 for NULL.
  double Double(std::size_t row, int column) const;

  // A boolean; false for NULL.
  bool Bool(std::size_t row, int column) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ROWS_H_
