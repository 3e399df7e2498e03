-- Raised by one on every write to a row. A write that returns revision 1
-- created its row: so "new" is known from the row itself.
ALTER TABLE users
  ADD COLUMN IF NOT EXISTS revision bigint NOT NULL DEFAULT 1;

-- Where the column was there before. A row of revision 0 would look new when it
-- is written next.
UPDATE users SET revision = 1 WHERE revision IS NULL OR revision < 1;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE users
  ALTER COLUMN revision SET DEFAULT 1,
  ALTER COLUMN revision SET NOT NULL;
