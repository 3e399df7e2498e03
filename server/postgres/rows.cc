#include "server/postgres/rows.h"

#include <utility>
#include <vector>

#include <pqxx/pqxx>

#include "absl/strings/numbers.h"

namespace userprofile::postgres {

// The driver's result, and where its values lie: to ask the driver for a value
// costs more than to read a number.
struct Rows::Data {
  struct Value {
    absl::string_view text;
    bool is_null;
  };
  const Value& at(std::size_t row, int column) const {
    return values[row * columns + static_cast<std::size_t>(column)];
  }

  pqxx::result result;  // owns the text
  std::size_t rows;
  std::size_t columns;
  std::vector<Value> values;  // row by row
};

Rows::Rows(const pqxx::result& result) {
  Data data;
  data.result = result;
  data.rows = static_cast<std::size_t>(data.result.size());
  data.columns = static_cast<std::size_t>(data.result.columns());
  data.values.reserve(data.rows * data.columns);
  // By iterators, for each row and field of the driver's that is made anew
  // copies its handle on the result.
  auto row = data.result.begin();
  for (std::size_t i = 0; i < data.rows; ++i, ++row) {
    auto field = row->begin();
    for (std::size_t j = 0; j < data.columns; ++j, ++field) {
      data.values.push_back(
          {absl::string_view(field->c_str(), field->size()), field->is_null()});
    }
  }
  data_ = std::make_shared<const Data>(std::move(data));
}

std::size_t Rows::size() const { return data_ == nullptr ? 0 : data_->rows; }

std::size_t Rows::affected() const {
  return data_ == nullptr
             ? 0
             : static_cast<std::size_t>(data_->result.affected_rows());
}

bool Rows::IsNull(std::size_t row, int column) const {
  return data_->at(row, column).is_null;
}

absl::string_view Rows::Text(std::size_t row, int column) const {
  return data_->at(row, column).text;
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
