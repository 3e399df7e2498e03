-- The users table as it was before anybody had to remember more than an id.
--
-- Not CREATE TABLE IF NOT EXISTS: that looks only into the first schema of the
-- search path, and would hide a table full of users that lies in a later one
-- behind a new and empty table.
DO $$
DECLARE
  kind "char";
BEGIN
  IF to_regclass('users') IS NULL THEN
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
END
$$;
