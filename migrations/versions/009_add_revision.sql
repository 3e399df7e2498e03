-- Raised by one on every write to a row. A write that returns revision 1
-- created its row: so "new" is known from the row itself. Where the column was
-- there before, 011 and 013 see to its values.
ALTER TABLE users
  ADD COLUMN IF NOT EXISTS revision bigint NOT NULL DEFAULT 1;
ALTER TABLE users
  ALTER COLUMN revision SET DEFAULT 1;
