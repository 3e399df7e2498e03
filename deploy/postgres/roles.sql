-- The two roles of the service: one that owns the tables and changes them
-- (`migrate`, `schema repair`, `backup restore`), and one that serves, with no
-- right to change or delete anything but what it writes. Run it as a superuser,
-- in the database of the service:
--
--   psql -X -v ON_ERROR_STOP=1 -f roles.sql "postgresql://admin@host/database"
--
-- with -v migrator=NAME, -v server=NAME or -v schema=NAME for other names than
-- those below, and with -v owner=NAME to take a table users that NAME, a bot's
-- role, made. It can be run again at any time, and must be once the tables are
-- there. Passwords are yours to set: \password userprofile_server

-- A superuser must not call what others put where names are looked for.
SET search_path = pg_catalog, pg_temp;

\if :{?migrator}
\else
  \set migrator userprofile_migrator
\endif
\if :{?server}
\else
  \set server userprofile_server
\endif
\if :{?schema}
\else
  \set schema public
\endif
\if :{?owner}
\else
  \set owner ''
\endif

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY[:'migrator', :'server']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

BEGIN;

-- The migrator makes tables in the schema; in the database it makes the schemas
-- that `backup restore --replace` moves the old tables to.
SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO %I',
              current_database(), :'migrator'),
       format('GRANT CONNECT ON DATABASE %I TO %I',
              current_database(), :'server')
\gexec
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"migrator";
GRANT USAGE ON SCHEMA :"schema" TO :"server";

-- Whoever may create there could plant a table users or functions for the
-- triggers of bots; up to PostgreSQL 14 that is everybody, in public. A bot
-- that makes tables there needs a GRANT CREATE of its own.
REVOKE CREATE ON SCHEMA :"schema" FROM PUBLIC;

-- Both find the tables there, and nowhere else.
SELECT format('ALTER ROLE %I IN DATABASE %I SET search_path = %I',
              name, current_database(), :'schema')
FROM unnest(ARRAY[:'migrator', :'server']) AS name
\gexec

-- A standby tells its timeline at once to those who may see what replication
-- does: so a primary that was replaced is found out early. pg_monitor, which an
-- earlier version of this file granted, also shows settings and more.
GRANT pg_read_all_stats TO :"server";
SELECT format('REVOKE pg_monitor FROM %I', :'server')
FROM pg_auth_members
WHERE roleid = 'pg_monitor'::regrole
  AND member = (SELECT oid FROM pg_roles WHERE rolname = :'server')
\gexec

-- A table users may have been made by whoever came first, to be what all users
-- are stored in. So it is taken only from those who may create schemas here, as
-- superusers and the migrator may, or whose table was migrated by one of them;
-- or whose name was given.
SELECT format('DO %L', format('BEGIN RAISE USING MESSAGE = %L; END', format(
         'the table %I.users belongs to %I, who may not create schemas in this '
         'database, and was not migrated by anybody who may. If it is a bot''s '
         'own, run this again with -v owner=%s; nothing was changed but that '
         'the roles are there',
         nspname, rolname,
         -- In quotes, for a shell.
         format('''%s''', replace(rolname, '''', '''\''''')))))
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_roles ON pg_roles.oid = relowner
WHERE nspname = :'schema' AND relname = 'users' AND rolname <> :'owner'
  AND NOT EXISTS (SELECT FROM pg_class AS trusted
    WHERE trusted.relnamespace = pg_namespace.oid
      AND trusted.relname IN ('users', 'userprofile_migrations')
      AND has_database_privilege(trusted.relowner, current_database(),
                                 'CREATE'))
\gexec

-- Tables that are there, be it that a bot made them. A history of migrations, a
-- key of tokens, or a table of changes or of sessions, only from the owner of
-- users, a superuser, or the migrator: what hangs on one of others would run
-- with the migrator's rights. A bot that made users goes on.
SELECT format('ALTER TABLE %I.%I OWNER TO %I', nspname, relname, :'migrator'),
       CASE WHEN relname = 'users' AND rolname <> :'migrator' THEN
         format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I',
                nspname, relname, rolname) END,
       format('GRANT %s ON %I.%I TO %I',
              CASE WHEN relname IN ('users', 'userprofile_sessions')
                     THEN 'SELECT, INSERT, UPDATE, DELETE'
                   WHEN relname = 'userprofile_changes'
                     THEN 'SELECT, INSERT, DELETE'
                   ELSE 'SELECT' END,
              nspname, relname, :'server')
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_roles ON pg_roles.oid = relowner
WHERE nspname = :'schema' AND relkind = 'r'
  AND (relname = 'users'
    OR relname IN ('userprofile_migrations', 'userprofile_token_key',
                   'userprofile_changes', 'userprofile_sessions')
    AND pg_has_role(relowner, coalesce(
      (SELECT users.relowner FROM pg_class AS users
       WHERE users.relnamespace = pg_namespace.oid AND relname = 'users'
         AND relkind = 'r'),
      (SELECT oid FROM pg_roles WHERE rolname = :'migrator')), 'MEMBER'))
\gexec

COMMIT;
