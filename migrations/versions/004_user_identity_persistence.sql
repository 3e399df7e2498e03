-- "User identity persistence", kept as it was shipped: incomplete. It records
-- when a user was seen, but none of the columns that say who the user is. Every
-- upsert of a returning user then failed on first_name, and bots took known
-- users for new ones. 008 is the fix.
-- was: 307350bc8ddb3460c87797fd1d95982dec7c4821defd02ed6d2ebd349813e0e3
ALTER TABLE :users
  ADD COLUMN IF NOT EXISTS last_seen_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_activity timestamptz;
