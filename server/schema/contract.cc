#include "server/schema/contract.h"

#include <vector>

namespace userprofile::schema {
namespace {

std::vector<Column> Columns() {
  std::vector<Column> columns;
  for (const users::Column& column : users::Columns()) {
    columns.push_back({column, column.kind == users::Kind::kAnswer
                                   ? Severity::kBlocking
                                   : Severity::kAdvisory});
  }
  return columns;
}

constexpr Index kIndexes[] = {
    {"idx_users_nickname", "nickname", true},
    {"idx_users_onboarding_completed", "onboarding_completed", false},
    {"idx_users_study_track", "study_track", false},
    {"idx_users_grade_year", "grade_year", false},
    {"idx_users_username", "username", false},
};

}  // namespace

std::string KeyOf(const Index& index) {
  return users::LookupKey(users::ColumnNamed(index.column), index.column);
}

const Contract& UsersContract() {
  static const auto& columns = *new std::vector<Column>(Columns());
  static const Contract contract = {"users", columns, columns[0].name,
                                    kIndexes};
  return contract;
}

}  // namespace userprofile::schema
