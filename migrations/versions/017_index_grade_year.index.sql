-- For lists by year.
CREATE INDEX CONCURRENTLY idx_users_grade_year
  ON users (grade_year);
