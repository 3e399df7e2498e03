-- What 012 promised of new rows holds for all: looked at while others read and
-- write. With a constraint that says so, SET NOT NULL need not look again.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_constraint
             WHERE conrelid = 'users'::regclass
               AND conname = 'userprofile_never_null') THEN
    -- What was written between the end of 011 and 012.
    UPDATE users SET
      is_active = coalesce(is_active, true),
      onboarding_completed = coalesce(onboarding_completed, false),
      created_at = coalesce(created_at, LEAST(
        last_seen_at AT TIME ZONE 'UTC', last_activity AT TIME ZONE 'UTC',
        updated_at, now() AT TIME ZONE 'UTC')),
      revision = GREATEST(revision, 1)
    WHERE is_active IS NULL OR onboarding_completed IS NULL
      OR created_at IS NULL OR revision IS NULL OR revision < 1;
    -- Deferred triggers of others must run before the table can be altered.
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE users VALIDATE CONSTRAINT userprofile_never_null;
    ALTER TABLE users
      ALTER COLUMN is_active SET NOT NULL,
      ALTER COLUMN onboarding_completed SET NOT NULL,
      ALTER COLUMN created_at SET NOT NULL,
      ALTER COLUMN revision SET NOT NULL;
    ALTER TABLE users DROP CONSTRAINT userprofile_never_null;
  END IF;
END
$$;
