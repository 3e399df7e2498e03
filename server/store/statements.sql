-- get_profiles
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision
FROM :users
WHERE user_id = ANY($1::bigint[])
  AND current_setting('userprofile.serving')::boolean;

-- find_by_username
SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision, r.place
FROM unnest($1::text[]) WITH ORDINALITY AS r (value, place), LATERAL (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision
  FROM :users AS u
  WHERE lower(u.username::text COLLATE "C") = lower(r.value::text COLLATE "C")
  ORDER BY u.last_seen_at DESC NULLS LAST, u.user_id
  LIMIT $2::integer) AS u
WHERE current_setting('userprofile.serving')::boolean
ORDER BY r.place, u.last_seen_at DESC NULLS LAST, u.user_id;

-- find_by_nickname
SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision, r.place
FROM unnest($1::text[]) WITH ORDINALITY AS r (value, place), LATERAL (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision
  FROM :users AS u
  WHERE u.nickname = r.value
  ORDER BY u.last_seen_at DESC NULLS LAST, u.user_id
  LIMIT $2::integer) AS u
WHERE current_setting('userprofile.serving')::boolean
ORDER BY r.place, u.last_seen_at DESC NULLS LAST, u.user_id;

-- update_users
UPDATE :users AS u
SET username = CASE WHEN c.username IS NOT NULL
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN nullif(c.username, '') ELSE u.username END,
  first_name = CASE WHEN c.first_name IS NOT NULL
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN nullif(c.first_name, '') ELSE u.first_name END,
  last_name = CASE WHEN c.last_name IS NOT NULL
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN nullif(c.last_name, '') ELSE u.last_name END,
  language_code = CASE WHEN c.language_code IS NOT NULL
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN nullif(c.language_code, '') ELSE u.language_code END,
  is_active = CASE WHEN c.is_active IS NOT NULL
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN c.is_active ELSE coalesce(u.is_active, true) END,
  updated_at = CASE WHEN (c.username <> coalesce(u.username, '') OR
    c.first_name <> coalesce(u.first_name, '') OR
    c.last_name <> coalesce(u.last_name, '') OR
    c.language_code <> coalesce(u.language_code, '') OR
    c.is_active <> coalesce(u.is_active, true))
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN $8::timestamptz AT TIME ZONE 'UTC' ELSE u.updated_at END,
  last_seen_at = greatest(CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END,
    $8::timestamptz),
  last_activity = CASE WHEN c.occurred_at IS NOT NULL
    AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
    THEN c.occurred_at ELSE u.last_activity END,
  revision = greatest(u.revision, 1) + 1
FROM (
  SELECT r.user_id, r.username, r.first_name, r.last_name, r.language_code,
    r.is_active, statement_timestamp() + interval '5 minutes' AS latest,
    CASE WHEN to_timestamp(r.occurred_at)
      <= statement_timestamp() + interval '5 minutes'
      THEN to_timestamp(r.occurred_at) END AS occurred_at
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
    $7::double precision[])
    AS r (user_id, username, first_name, last_name, language_code, is_active, occurred_at)
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0) AS c
WHERE u.user_id = ANY (ARRAY[c.user_id])
RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision;

-- update_changed_users
WITH contacts AS MATERIALIZED (
  SELECT r.user_id, r.username, r.first_name, r.last_name, r.language_code,
    r.is_active, statement_timestamp() + interval '5 minutes' AS latest,
    CASE WHEN to_timestamp(r.occurred_at)
      <= statement_timestamp() + interval '5 minutes'
      THEN to_timestamp(r.occurred_at) END AS occurred_at
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
    $7::double precision[])
    AS r (user_id, username, first_name, last_name, language_code, is_active, occurred_at)
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0),
unchanged AS MATERIALIZED (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision
  FROM contacts AS c JOIN :users AS u ON u.user_id = ANY (ARRAY[c.user_id])
  WHERE u.revision > 1
    AND CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END
      > $8::timestamptz - $9::interval
    AND (c.occurred_at IS NULL
      OR CASE WHEN u.last_activity <= c.latest THEN u.last_activity END
      > c.occurred_at - $9::interval)
    AND ((c.username <> coalesce(u.username, '') OR
      c.first_name <> coalesce(u.first_name, '') OR
      c.last_name <> coalesce(u.last_name, '') OR
      c.language_code <> coalesce(u.language_code, '') OR
      c.is_active <> coalesce(u.is_active, true))
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE) IS NOT TRUE),
written AS (
  UPDATE :users AS u
  SET username = CASE WHEN c.username IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN nullif(c.username, '') ELSE u.username END,
    first_name = CASE WHEN c.first_name IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN nullif(c.first_name, '') ELSE u.first_name END,
    last_name = CASE WHEN c.last_name IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN nullif(c.last_name, '') ELSE u.last_name END,
    language_code = CASE WHEN c.language_code IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN nullif(c.language_code, '') ELSE u.language_code END,
    is_active = CASE WHEN c.is_active IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN c.is_active ELSE coalesce(u.is_active, true) END,
    updated_at = CASE WHEN (c.username <> coalesce(u.username, '') OR
      c.first_name <> coalesce(u.first_name, '') OR
      c.last_name <> coalesce(u.last_name, '') OR
      c.language_code <> coalesce(u.language_code, '') OR
      c.is_active <> coalesce(u.is_active, true))
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN $8::timestamptz AT TIME ZONE 'UTC' ELSE u.updated_at END,
    last_seen_at = greatest(CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END,
      $8::timestamptz),
    last_activity = CASE WHEN c.occurred_at IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN c.occurred_at ELSE u.last_activity END,
    revision = greatest(u.revision, 1) + 1
  FROM contacts AS c
  WHERE u.user_id = ANY (ARRAY[c.user_id])
    AND c.user_id NOT IN (SELECT user_id FROM unchanged)
  RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision)
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision
FROM unchanged
UNION ALL
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision
FROM written;

-- insert_users
INSERT INTO :users AS u (user_id, username, first_name, last_name, language_code,
  is_active, onboarding_completed, created_at, last_seen_at, updated_at,
  last_activity, revision)
SELECT c.user_id, nullif(c.username, ''), nullif(c.first_name, ''),
  nullif(c.last_name, ''), nullif(c.language_code, ''),
  c.is_active, false,
  $8::timestamptz AT TIME ZONE 'UTC', $8::timestamptz,
  $8::timestamptz AT TIME ZONE 'UTC', c.occurred_at, 1
FROM (
  SELECT r.user_id, r.username, r.first_name, r.last_name, r.language_code,
    r.is_active, statement_timestamp() + interval '5 minutes' AS latest,
    CASE WHEN to_timestamp(r.occurred_at)
      <= statement_timestamp() + interval '5 minutes'
      THEN to_timestamp(r.occurred_at) END AS occurred_at
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
    $7::double precision[])
    AS r (user_id, username, first_name, last_name, language_code, is_active, occurred_at)
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0) AS c
ON CONFLICT (user_id) DO NOTHING
RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision;

-- complete_onboarding
WITH held AS MATERIALIZED (
  SELECT user_id, username, first_name, last_name, language_code,
    onboarding_completed, real_name, nickname, study_track, grade_band,
    grade_year, phone, is_active, created_at, last_seen_at, updated_at,
    last_activity, revision
  FROM :users
  WHERE user_id = ANY($1::bigint[])
    AND current_setting('userprofile.serving')::boolean
  ORDER BY user_id
  FOR UPDATE),
written AS (
  UPDATE :users AS u
  SET onboarding_completed = true, real_name = coalesce(a.real_name, u.real_name),
    nickname = coalesce(a.nickname, u.nickname),
    study_track = coalesce(a.study_track, u.study_track),
    grade_band = coalesce(a.grade_band, u.grade_band),
    grade_year = coalesce(a.grade_year, u.grade_year),
    phone = coalesce(a.phone, u.phone),
    updated_at = $8::timestamptz AT TIME ZONE 'UTC',
    last_seen_at = greatest(u.last_seen_at, $8::timestamptz),
    revision = greatest(u.revision, 1) + 1
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[])
    AS a (user_id, real_name, nickname, study_track, grade_band, grade_year, phone)
  WHERE u.user_id = a.user_id
    AND u.user_id = ANY($1::bigint[])
    AND u.onboarding_completed IS NOT TRUE
    AND (SELECT count(*) FROM held) > 0
  RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision)
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision, true
FROM written
UNION ALL
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision, false
FROM held
WHERE NOT EXISTS (SELECT FROM written WHERE written.user_id = held.user_id);

-- nickname_indexes
SELECT relname
FROM pg_index AS i JOIN pg_class AS c ON oid = indexrelid
WHERE indrelid = :'users'::regclass AND indisunique
  AND (SELECT bool_and(attname = 'nickname') FROM pg_attribute AS a
    WHERE attrelid = indrelid
      AND (attnum = ANY ((indkey::smallint[])[0:indnkeyatts - 1])
        OR indexprs IS NOT NULL AND EXISTS (SELECT FROM pg_depend
          WHERE classid = 'pg_class'::regclass AND objid = indexrelid
            AND refobjid = attrelid AND refobjsubid = attnum)));
