#include "server/postgres/rows.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "server/postgres/rows_data.h"

namespace userprofile::postgres {

Rows::Data::Data(const pqxx::result& result)
    : result_(result),
      rows_(static_cast<std::size_t>(result.size())),
      columns_(static_cast<std::size_t>(result.columns())),
      affected_(static_cast<std::size_t>(result.affected_rows())) {
  values_.reserve(rows_ * columns_);
  // By iterators, for each row and field of the driver's that is made anew
  // copies its handle on the result.
  auto row = result_.begin();
  for (std::size_t i = 0; i < rows_; ++i, ++row) {
    auto field = row->begin();
    for (std::size_t j = 0; j < columns_; ++j, ++field) {
      values_.push_back(
          {absl::string_view(field->c_str(), field->size()), field->is_null()});
    }
  }
}

Rows::Rows(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

std::size_t Rows::size() const { return data_ == nullptr ? 0 : data_->rows(); }

std::size_t Rows::affected() const {
  return data_ == nullptr ? 0 : data_->affected();
}

bool Rows::IsNull(std::size_t row, int column) const {
  return data_->value(row, column).is_null;
}

absl::string_view Rows::Text(std::size_t row, int column) const {
  return data_->value(row, column).text;
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
