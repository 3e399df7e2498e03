-- The users table as it was before anybody had to remember more than an id.
--
-- A table that there is stays; who migrates has looked for it everywhere.
-- was: a2f287b9f29aeffa617ca4db1bbf3c161143fe42f37056fd883a3ccbbf26e56c
CREATE TABLE IF NOT EXISTS :users (
  user_id bigint PRIMARY KEY,
  is_active boolean,
  created_at timestamp
);
