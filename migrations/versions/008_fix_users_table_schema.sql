-- The fix: makes users the table that user persistence needs, whatever state a
-- bot left it in. Nothing is lost: rows, foreign columns, indexes, triggers and
-- views stay. What can't be mended without a decision is refused, with all of
-- this undone.
--
-- This part is quick on a sound table of any size. What has to look at every
-- row comes later, in steps that hold up nobody: 011 fills, 013 checks, 014 to
-- 017 build the indexes. It takes longer only where there is no other way: a
-- column of another type, no primary key, an unlogged table, and users who had
-- answered before there was a column to say so.

-- What a person must decide. Read before anything is locked.
DO $$
DECLARE
  found text;
  has_key boolean;
  bad bigint;
  n text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = 'users'::regclass AND attname = 'user_id'
                   AND NOT attisdropped) THEN
    RAISE EXCEPTION 'users has no column user_id; rename the column that holds '
      'the Telegram user id: ALTER TABLE users RENAME COLUMN ... TO user_id'
      USING ERRCODE = 'UP001';
  END IF;

  SELECT pg_get_constraintdef(oid) INTO found
  FROM pg_constraint
  WHERE conrelid = 'users'::regclass AND contype = 'p';
  has_key := found IS NOT NULL;
  IF found <> 'PRIMARY KEY (user_id)' THEN
    RAISE EXCEPTION 'users has "%", but needs PRIMARY KEY (user_id); drop that '
      'constraint (a UNIQUE one can replace it), then migrate again', found
      USING ERRCODE = 'UP001';
  END IF;

  -- A new user is inserted without the columns that only others know.
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO found
  FROM pg_attribute
  JOIN pg_type ON pg_type.oid = atttypid
  WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
    AND (attnotnull OR typnotnull)
    AND NOT atthasdef AND typdefault IS NULL AND attidentity = ''
    AND attname NOT IN (
      'user_id', 'username', 'first_name', 'last_name', 'language_code',
      'onboarding_completed', 'real_name', 'nickname', 'study_track',
      'grade_band', 'grade_year', 'phone', 'is_active', 'created_at',
      'last_seen_at', 'updated_at', 'last_activity', 'revision');
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'users has columns that are NOT NULL without a default, so '
      'that no new user could be stored: %; for each, ALTER TABLE users ALTER '
      'COLUMN ... DROP NOT NULL, or SET DEFAULT ...', found
      USING ERRCODE = 'UP001';
  END IF;

  IF NOT has_key THEN
    SELECT count(*) INTO bad FROM users WHERE user_id IS NULL;
    IF bad > 0 THEN
      RAISE EXCEPTION '% rows of users have no user_id; find out whose they '
        'are, or delete them: SELECT * FROM users WHERE user_id IS NULL', bad
        USING ERRCODE = 'UP001';
    END IF;

    SELECT count(*) INTO bad
    FROM (SELECT FROM users GROUP BY user_id HAVING count(*) > 1) AS d;
    IF bad > 0 THEN
      RAISE EXCEPTION '% users have more than one row; decide which one stays: '
        'SELECT user_id, count(*) FROM users GROUP BY user_id '
        'HAVING count(*) > 1', bad
        USING ERRCODE = 'UP001';
    END IF;
  END IF;

  FOREACH n IN ARRAY ARRAY['idx_users_nickname',
    'idx_users_onboarding_completed', 'idx_users_study_track',
    'idx_users_grade_year']
  LOOP
    IF EXISTS (SELECT FROM pg_class LEFT JOIN pg_index ON indexrelid = oid
               WHERE relname = n
                 AND relnamespace = (SELECT relnamespace FROM pg_class
                                     WHERE oid = 'users'::regclass)
                 AND indrelid IS DISTINCT FROM 'users'::regclass) THEN
      RAISE EXCEPTION 'the name % is taken by something that is no index of '
        'users; rename that: ALTER ... RENAME TO ...', n
        USING ERRCODE = 'UP001';
    END IF;
    -- As a constraint, the index of that name can't be replaced.
    IF EXISTS (SELECT FROM pg_constraint
               JOIN pg_index ON indexrelid = conindid
               WHERE conrelid = 'users'::regclass AND conname = n
                 AND NOT (n = 'idx_users_nickname' AND contype = 'u'
                          AND NOT condeferrable
                          AND pg_get_constraintdef(pg_constraint.oid)
                              = 'UNIQUE (nickname)')) THEN
      RAISE EXCEPTION 'the name % is taken by another constraint of users; '
        'rename it: ALTER TABLE users RENAME CONSTRAINT % TO ...', n, n
        USING ERRCODE = 'UP001';
    END IF;
  END LOOP;

  -- Of the type that it will have, for char(n) ignores blanks at the end.
  IF EXISTS (SELECT FROM pg_attribute
             WHERE attrelid = 'users'::regclass AND attname = 'nickname'
               AND NOT attisdropped) THEN
    SELECT count(*) INTO bad
    FROM (SELECT FROM users WHERE nickname IS NOT NULL
          GROUP BY nickname::text HAVING count(*) > 1) AS d;
    IF bad > 0 THEN
      RAISE EXCEPTION '% nicknames are used by more than one user (an empty '
        'one counts); clear all but one of each: SELECT nickname, '
        'array_agg(user_id) FROM users WHERE nickname IS NOT NULL '
        'GROUP BY nickname HAVING count(*) > 1', bad
        USING ERRCODE = 'UP001';
    END IF;
  END IF;
END
$$;

-- Whoever left a real name and a nickname had answered the questions, while
-- there was no column to say so: without this they would be asked everything
-- again. The rows are rewritten rather than updated, for no trigger of others
-- shall take that for a change of the profile.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_attribute
             WHERE attrelid = 'users'::regclass
               AND attname = 'onboarding_completed' AND NOT attisdropped) THEN
    RETURN;
  END IF;

  ALTER TABLE users
    ADD COLUMN onboarding_completed boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS real_name text,
    ADD COLUMN IF NOT EXISTS nickname character varying;
  IF EXISTS (SELECT FROM users
             WHERE real_name::text ~ '\S' AND nickname::text ~ '\S') THEN
    ALTER TABLE users
      ALTER COLUMN onboarding_completed TYPE boolean
        USING coalesce(real_name::text ~ '\S' AND nickname::text ~ '\S', false);
  END IF;
END
$$;

-- The columns that 004 forgot, and those that a damaged table may lack.
ALTER TABLE users
  ADD COLUMN IF NOT EXISTS username character varying,
  ADD COLUMN IF NOT EXISTS first_name character varying,
  ADD COLUMN IF NOT EXISTS last_name text,
  ADD COLUMN IF NOT EXISTS language_code text,
  ADD COLUMN IF NOT EXISTS onboarding_completed boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS real_name text,
  ADD COLUMN IF NOT EXISTS nickname character varying,
  ADD COLUMN IF NOT EXISTS study_track text,
  ADD COLUMN IF NOT EXISTS grade_band text,
  ADD COLUMN IF NOT EXISTS grade_year text,
  ADD COLUMN IF NOT EXISTS phone text,
  ADD COLUMN IF NOT EXISTS is_active boolean NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS created_at timestamp,
  ADD COLUMN IF NOT EXISTS last_seen_at timestamptz,
  ADD COLUMN IF NOT EXISTS updated_at timestamp,
  ADD COLUMN IF NOT EXISTS last_activity timestamptz;

-- Columns that are there, but not as they should be. Each is changed only where
-- it differs, for a view keeps the type of every column it shows.
DO $$
DECLARE
  c record;
  conversion text;
BEGIN
  -- The casts between the two kinds of time go by it; and it lets PostgreSQL
  -- leave the rows as they are.
  PERFORM set_config('timezone', 'UTC', true);

  -- Such a table is emptied after a crash.
  IF EXISTS (SELECT FROM pg_class
             WHERE oid = 'users'::regclass AND relpersistence = 'u') THEN
    ALTER TABLE users SET LOGGED;
  END IF;

  FOR c IN
    SELECT expected.name, expected.type, attidentity, attgenerated, atthasdef,
           attnotnull AND expected.nullable AS must_accept_null,
           format_type(atttypid, atttypmod) AS found,
           format_type(atttypid, NULL) AS found_any_length
    FROM (VALUES
      ('user_id', 'bigint', false),
      ('username', 'character varying', true),
      ('first_name', 'character varying', true),
      ('last_name', 'text', true),
      ('language_code', 'text', true),
      ('onboarding_completed', 'boolean', false),
      ('real_name', 'text', true),
      ('nickname', 'character varying', true),
      ('study_track', 'text', true),
      ('grade_band', 'text', true),
      ('grade_year', 'text', true),
      ('phone', 'text', true),
      ('is_active', 'boolean', false),
      ('created_at', 'timestamp without time zone', false),
      ('last_seen_at', 'timestamp with time zone', true),
      ('updated_at', 'timestamp without time zone', true),
      ('last_activity', 'timestamp with time zone', true),
      ('revision', 'bigint', false)
    ) AS expected (name, type, nullable)
    JOIN pg_attribute ON attrelid = 'users'::regclass AND attname = name
  LOOP
    IF c.attidentity <> '' THEN
      EXECUTE format('ALTER TABLE users ALTER %I DROP IDENTITY', c.name);
    END IF;
    IF c.attgenerated <> '' THEN
      EXECUTE format('ALTER TABLE users ALTER %I DROP EXPRESSION', c.name);
    ELSIF c.atthasdef THEN
      EXECUTE format('ALTER TABLE users ALTER %I DROP DEFAULT', c.name);
    END IF;
    IF c.must_accept_null THEN
      EXECUTE format('ALTER TABLE users ALTER %I DROP NOT NULL', c.name);
    END IF;
    CONTINUE WHEN c.found = c.type;

    conversion := CASE
      WHEN c.type IN ('text', 'character varying') AND c.found_any_length IN
        ('text', 'character varying', 'character', 'bpchar',
         'smallint', 'integer', 'bigint')
        THEN format('%I::%s', c.name, c.type)
      WHEN c.type = 'bigint' AND c.found_any_length IN ('smallint', 'integer')
        THEN format('%I::bigint', c.name)
      WHEN c.type LIKE 'timestamp%' AND c.found_any_length LIKE 'timestamp%'
        THEN format('%I::%s', c.name, c.type)
    END;
    IF conversion IS NULL THEN
      RAISE EXCEPTION 'users.% is %, but has to be %; convert it: ALTER TABLE '
        'users ALTER COLUMN % TYPE % USING ...',
        c.name, c.found, c.type, c.name, c.type
        USING ERRCODE = 'UP001';
    END IF;

    BEGIN
      EXECUTE format('ALTER TABLE users ALTER %I TYPE %s USING %s',
                     c.name, c.type, conversion);
    EXCEPTION WHEN feature_not_supported THEN
      -- Something was built on the column. The two unlimited text types differ
      -- in name only: then rather leave the column than refuse the table.
      CONTINUE WHEN c.type IN ('text', 'character varying')
        AND c.found IN ('text', 'character varying');
      RAISE EXCEPTION 'users.% is %, but has to be %, and PostgreSQL says: %; '
        'drop what depends on the column, migrate, and create it again',
        c.name, c.found, c.type, SQLERRM
        USING ERRCODE = 'UP001';
    END;
  END LOOP;
END
$$;

-- For the rows to come; 011 fills those that are there.
ALTER TABLE users
  ALTER COLUMN onboarding_completed SET DEFAULT false,
  ALTER COLUMN is_active SET DEFAULT true,
  ALTER COLUMN created_at SET DEFAULT (now() AT TIME ZONE 'UTC');

-- The primary key, in one go: without it, a user could be written twice while
-- its index is being built.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint
                 WHERE conrelid = 'users'::regclass AND contype = 'p') THEN
    ALTER TABLE users ADD PRIMARY KEY (user_id);
  END IF;
END
$$;
