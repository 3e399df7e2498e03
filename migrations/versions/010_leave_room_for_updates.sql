-- Every contact updates its row. A new version that finds room on the same page
-- touches no index (a HOT update), so leave some. A choice that somebody made
-- before stays.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class, unnest(reloptions) AS option
                 WHERE pg_class.oid = 'users'::regclass
                   AND option LIKE 'fillfactor=%') THEN
    ALTER TABLE users SET (fillfactor = 85);
  END IF;
END
$$;
