-- The users table as it was before anybody had to remember more than an id.
--
-- Not CREATE TABLE IF NOT EXISTS: that looks only into the first schema of the
-- search path, and would hide a table full of users that lies in a later one
-- behind a new and empty table.
DO $$
DECLARE
  kind "char";
  found text;
BEGIN
  IF to_regclass('users') IS NULL THEN
    -- Nor hide one that the search path does not show, or shows under a name
    -- that only looks the same. By its key, for others have users too.
    SELECT min(attrelid::regclass::text) INTO found
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE lower(relname) = 'users' AND relkind IN ('r', 'p', 'f', 'v', 'm')
      AND relpersistence <> 't'
      AND attname = 'user_id' AND NOT attisdropped;
    IF found IS NOT NULL THEN
      RAISE EXCEPTION 'there is %, but not where it would be found as users; '
        'put its schema into the search path (%), or rename it; if it is '
        'another program''s, CREATE TABLE users (user_id bigint PRIMARY KEY) '
        'where users shall be, then migrate again',
        found, current_setting('search_path')
        USING ERRCODE = 'UP001';
    END IF;

    CREATE TABLE users (
      user_id bigint PRIMARY KEY,
      is_active boolean,
      created_at timestamp
    );
    RETURN;
  END IF;

  SELECT relkind INTO kind FROM pg_class WHERE oid = to_regclass('users');
  IF kind <> 'r' THEN
    RAISE EXCEPTION 'users is not an ordinary table (pg_class.relkind "%"); '
      'rename it, or leave its schema out of the search path', kind
      USING ERRCODE = 'UP001';
  END IF;

  IF EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass('users'))
  THEN
    RAISE EXCEPTION 'other tables inherit from users, so that its primary key '
      'does not hold for their rows; move those into users, and ALTER TABLE '
      '... NO INHERIT users'
      USING ERRCODE = 'UP001';
  END IF;
END
$$;
