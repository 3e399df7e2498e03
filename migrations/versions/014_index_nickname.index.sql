-- Two users never have the same nickname.
CREATE UNIQUE INDEX CONCURRENTLY idx_users_nickname
  ON users (nickname);
