#include "server/postgres/rows.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "server/postgres/rows_data.h"

namespace userprofile::postgres {
namespace {

pqxx::field Field(const Rows::Data& data, std::size_t row, int column) {
  using Row = pqxx::result::size_type;
  using Column = pqxx::row::size_type;
  return data.result[static_cast<Row>(row)][static_cast<Column>(column)];
}

}  // namespace

Rows::Rows(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

std::size_t Rows::size() const {
  return data_ == nullptr ? 0 : static_cast<std::size_t>(data_->result.size());
}

std::size_t Rows::affected() const {
  return data_ == nullptr
             ? 0
             : static_cast<std::size_t>(data_->result.affected_rows());
}

bool Rows::IsNull(std::size_t row, int column) const {
  return Field(*data_, row, column).is_null();
}

absl::string_view Rows::Text(std::size_t row, int column) const {
  const pqxx::field field = Field(*data_, row, column);
  return absl::string_view(field.c_str(), field.size());
}

std::int64_t Rows::Int64(std::size_t row, int column) const {
  std::int64_t value = 0;
  return absl::SimpleAtoi(Text(row, column), &value) ? value : 0;
}

double Rows::Double(std::size_t row, int column) const {
  double value = 0;
  return absl::SimpleAtod(Text(row, column), &value) ? value : 0;
}

bool Rows::Bool(std::size_t row, int column) const {
  return Text(row, column) == "t";
}

}  // namespace userprofile::postgres
