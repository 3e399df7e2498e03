-- From here on no row is written that lacks one of these. Whether the rows that
-- are there have them all is looked at by 013, which may take its time.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_attribute
             WHERE attrelid = 'users'::regclass AND NOT attnotnull
               AND attname IN ('is_active', 'onboarding_completed',
                               'created_at', 'revision'))
    AND NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = 'users'::regclass
                      AND conname = 'userprofile_never_null') THEN
    ALTER TABLE users ADD CONSTRAINT userprofile_never_null CHECK (
      is_active IS NOT NULL AND onboarding_completed IS NOT NULL
      AND created_at IS NOT NULL AND revision IS NOT NULL) NOT VALID;
  END IF;
END
$$;
