-- "User identity persistence", kept as it was shipped: incomplete. It records
-- when a user was seen, but none of the columns that say who the user is. Every
-- upsert of a returning user then failed on first_name, and bots took known
-- users for new ones. 008 is the fix.
ALTER TABLE users
  ADD COLUMN IF NOT EXISTS last_seen_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_activity timestamptz;
