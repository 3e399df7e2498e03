-- For lists of those who have answered, or have not.
CREATE INDEX CONCURRENTLY idx_users_onboarding_completed
  ON users (onboarding_completed);
