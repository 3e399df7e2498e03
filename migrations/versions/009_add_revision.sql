-- Raised by one on every write to a row. A write that returns revision 1
-- created its row: so "new" is known from the row itself.
ALTER TABLE users
  ADD COLUMN IF NOT EXISTS revision bigint NOT NULL DEFAULT 1;
