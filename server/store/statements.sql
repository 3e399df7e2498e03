-- get_profiles
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision, attributes,
  created_by_event
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
  date_part('epoch', u.last_activity), u.revision, u.attributes,
  u.created_by_event, r.place
FROM unnest($1::text[]) WITH ORDINALITY AS r (value, place), LATERAL (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event
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
  date_part('epoch', u.last_activity), u.revision, u.attributes,
  u.created_by_event, r.place
FROM unnest($1::text[]) WITH ORDINALITY AS r (value, place), LATERAL (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event
  FROM :users AS u
  WHERE u.nickname = r.value
  ORDER BY u.last_seen_at DESC NULLS LAST, u.user_id
  LIMIT $2::integer) AS u
WHERE current_setting('userprofile.serving')::boolean
ORDER BY r.place, u.last_seen_at DESC NULLS LAST, u.user_id;

-- update_users
WITH written AS (
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
      THEN $9::timestamptz AT TIME ZONE 'UTC' ELSE u.updated_at END,
    last_seen_at = greatest(CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END,
      $9::timestamptz),
    last_activity = CASE WHEN c.occurred_at IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN c.occurred_at ELSE u.last_activity END,
    revision = greatest(u.revision, 1) + 1
  FROM (
    SELECT r.user_id, r.username, r.first_name, r.last_name, r.language_code,
      r.is_active, statement_timestamp() + interval '5 minutes' AS latest,
      CASE WHEN to_timestamp(r.occurred_at)
        <= statement_timestamp() + interval '5 minutes'
        THEN to_timestamp(r.occurred_at) END AS occurred_at, r.event_id
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
      $7::double precision[], $8::text[])
      AS r (user_id, username, first_name, last_name, language_code, is_active, occurred_at, event_id)
    WHERE current_setting('userprofile.serving')::boolean
    OFFSET 0) AS c
  WHERE u.user_id = ANY (ARRAY[c.user_id])
    AND NOT (u.created_by_event = c.event_id AND NOT coalesce(u.onboarding_completed, false)) IS TRUE
  RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event),
told AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT user_id, revision, CASE WHEN (updated_at = $9::timestamptz AT TIME ZONE 'UTC'
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = :'users'::regclass
      AND NOT tgisinternal AND tgtype & 19 = 19 AND tgenabled IN ('O', 'A'))) THEN 'w' ELSE 'c' END,
    statement_timestamp()
  FROM written
  WHERE (updated_at = $9::timestamptz AT TIME ZONE 'UTC'
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = :'users'::regclass
      AND NOT tgisinternal AND tgtype & 19 = 19 AND tgenabled IN ('O', 'A')))
    OR current_setting('userprofile.record_contacts', true) = 'on')
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision,
  CASE WHEN octet_length(attributes::text) > 1024 THEN 'null' ELSE attributes END,
  created_by_event
FROM written;

-- update_changed_users
WITH contacts AS MATERIALIZED (
  SELECT r.user_id, r.username, r.first_name, r.last_name, r.language_code,
    r.is_active, statement_timestamp() + interval '5 minutes' AS latest,
    CASE WHEN to_timestamp(r.occurred_at)
      <= statement_timestamp() + interval '5 minutes'
      THEN to_timestamp(r.occurred_at) END AS occurred_at, r.event_id
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
    $7::double precision[], $8::text[])
    AS r (user_id, username, first_name, last_name, language_code, is_active, occurred_at, event_id)
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0),
unchanged AS MATERIALIZED (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event
  FROM contacts AS c JOIN :users AS u ON u.user_id = ANY (ARRAY[c.user_id])
  WHERE u.revision > 1
    AND CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END
      > $9::timestamptz - $10::interval
    AND (c.occurred_at IS NULL
      OR CASE WHEN u.last_activity <= c.latest THEN u.last_activity END
      > c.occurred_at - $10::interval)
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
      THEN $9::timestamptz AT TIME ZONE 'UTC' ELSE u.updated_at END,
    last_seen_at = greatest(CASE WHEN u.last_seen_at <= c.latest THEN u.last_seen_at END,
      $9::timestamptz),
    last_activity = CASE WHEN c.occurred_at IS NOT NULL
      AND (u.last_activity > c.occurred_at AND u.last_activity <= c.latest) IS NOT TRUE
      THEN c.occurred_at ELSE u.last_activity END,
    revision = greatest(u.revision, 1) + 1
  FROM contacts AS c
  WHERE u.user_id = ANY (ARRAY[c.user_id])
    AND NOT (u.created_by_event = c.event_id AND NOT coalesce(u.onboarding_completed, false)) IS TRUE
    AND c.user_id NOT IN (SELECT user_id FROM unchanged)
  RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event),
told AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT user_id, revision, CASE WHEN (updated_at = $9::timestamptz AT TIME ZONE 'UTC'
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = :'users'::regclass
      AND NOT tgisinternal AND tgtype & 19 = 19 AND tgenabled IN ('O', 'A'))) THEN 'w' ELSE 'c' END,
    statement_timestamp()
  FROM written
  WHERE (updated_at = $9::timestamptz AT TIME ZONE 'UTC'
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = :'users'::regclass
      AND NOT tgisinternal AND tgtype & 19 = 19 AND tgenabled IN ('O', 'A')))
    OR current_setting('userprofile.record_contacts', true) = 'on')
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision,
  CASE WHEN octet_length(attributes::text) > 1024 THEN 'null' ELSE attributes END,
  created_by_event
FROM unchanged
UNION ALL
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision,
  CASE WHEN octet_length(attributes::text) > 1024 THEN 'null' ELSE attributes END,
  created_by_event
FROM written;

-- insert_users
WITH contacts AS MATERIALIZED (
  SELECT r.user_id, r.username, r.first_name, r.last_name, r.language_code,
    r.is_active, statement_timestamp() + interval '5 minutes' AS latest,
    CASE WHEN to_timestamp(r.occurred_at)
      <= statement_timestamp() + interval '5 minutes'
      THEN to_timestamp(r.occurred_at) END AS occurred_at, r.event_id
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
    $7::double precision[], $8::text[])
    AS r (user_id, username, first_name, last_name, language_code, is_active, occurred_at, event_id)
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0),
written AS (
  INSERT INTO :users AS u (user_id, username, first_name, last_name, language_code,
    is_active, onboarding_completed, created_at, last_seen_at, updated_at,
    last_activity, revision, created_by_event)
  SELECT c.user_id, nullif(c.username, ''), nullif(c.first_name, ''),
    nullif(c.last_name, ''), nullif(c.language_code, ''),
    c.is_active, false,
    $9::timestamptz AT TIME ZONE 'UTC', $9::timestamptz,
    $9::timestamptz AT TIME ZONE 'UTC', c.occurred_at, 1, c.event_id
  FROM contacts AS c
  ON CONFLICT (user_id) DO NOTHING
  RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event),
told AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT user_id, revision, 'w', statement_timestamp()
  FROM written)
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision,
  CASE WHEN octet_length(attributes::text) > 1024 THEN 'null' ELSE attributes END,
  created_by_event
FROM written
UNION ALL
SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision,
  CASE WHEN octet_length(u.attributes::text) > 1024 THEN 'null' ELSE u.attributes END,
  u.created_by_event
FROM contacts AS c JOIN :users AS u ON u.user_id = ANY (ARRAY[c.user_id])
WHERE c.event_id IS NOT NULL
  AND (u.created_by_event = c.event_id AND NOT coalesce(u.onboarding_completed, false)) IS TRUE;

-- edit_users
WITH held AS MATERIALIZED (
  SELECT user_id, username, first_name, last_name, language_code,
    onboarding_completed, real_name, nickname, study_track, grade_band,
    grade_year, phone, is_active, created_at, last_seen_at, updated_at,
    last_activity, revision, attributes, created_by_event
  FROM :users
  WHERE user_id = ANY($1::bigint[])
    AND current_setting('userprofile.serving')::boolean
  ORDER BY user_id
  FOR UPDATE),
edits AS MATERIALIZED (
  SELECT e.user_id, e.real_name, e.nickname, e.study_track, e.grade_band, e.grade_year,
    e.phone, e.onboarding_completed, m.attributes,
    CASE WHEN e.expected_revision <> u.revision THEN 'revision'
      WHEN e.onboarding_completed AND coalesce(u.onboarding_completed, false) THEN 'onboarded'
      WHEN octet_length(m.attributes::text)
          > coalesce(octet_length(u.attributes::text), 0)
        AND (octet_length(m.attributes::text) > 16384 OR
          (SELECT count(*) FROM jsonb_object_keys(m.attributes)) > 64)
        THEN 'too large'
      WHEN e.real_name <> coalesce(u.real_name, '') OR
        e.nickname <> coalesce(u.nickname, '') OR
        e.study_track <> coalesce(u.study_track, '') OR
        e.grade_band <> coalesce(u.grade_band, '') OR
        e.grade_year <> coalesce(u.grade_year, '') OR
        e.phone <> coalesce(u.phone, '') OR
        e.onboarding_completed <> coalesce(u.onboarding_completed, false) OR
        m.attributes IS DISTINCT FROM u.attributes
        THEN 'change' ELSE 'same' END AS verdict
  FROM held AS u
  JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::boolean[],
    $9::bigint[], $10::jsonb[], $11::boolean[])
    AS e (user_id, real_name, nickname, study_track, grade_band, grade_year, phone, onboarding_completed, expected_revision, patch,
      replaces) ON e.user_id = u.user_id
  CROSS JOIN LATERAL (
    SELECT CASE WHEN e.patch IS NULL THEN u.attributes
      ELSE nullif((CASE WHEN NOT e.replaces
          AND jsonb_typeof(u.attributes) = 'object'
          THEN u.attributes ELSE jsonb_build_object() END || e.patch)
        - ARRAY(SELECT key FROM jsonb_each(e.patch) WHERE value = 'null'), jsonb_build_object()) END AS attributes
    OFFSET 0) AS m),
written AS (
  UPDATE :users AS u
  SET real_name = CASE WHEN e.real_name IS NULL THEN u.real_name ELSE nullif(e.real_name, '') END,
    nickname = CASE WHEN e.nickname IS NULL THEN u.nickname ELSE nullif(e.nickname, '') END,
    study_track = CASE WHEN e.study_track IS NULL THEN u.study_track ELSE nullif(e.study_track, '') END,
    grade_band = CASE WHEN e.grade_band IS NULL THEN u.grade_band ELSE nullif(e.grade_band, '') END,
    grade_year = CASE WHEN e.grade_year IS NULL THEN u.grade_year ELSE nullif(e.grade_year, '') END,
    phone = CASE WHEN e.phone IS NULL THEN u.phone ELSE nullif(e.phone, '') END,
    onboarding_completed = coalesce(e.onboarding_completed, coalesce(u.onboarding_completed, false)),
    attributes = e.attributes,
    updated_at = $12::timestamptz AT TIME ZONE 'UTC',
    last_seen_at = CASE WHEN e.onboarding_completed
      THEN greatest(u.last_seen_at, $12::timestamptz)
      ELSE u.last_seen_at END,
    revision = greatest(u.revision, 1) + 1
  FROM edits AS e
  WHERE u.user_id = ANY (ARRAY[e.user_id])
    AND e.verdict = 'change'
  RETURNING u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event),
told AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT user_id, revision, 'w', statement_timestamp()
  FROM written)
SELECT user_id, username, first_name, last_name, language_code,
  onboarding_completed, real_name, nickname, study_track, grade_band,
  grade_year, phone, is_active, date_part('epoch', created_at),
  date_part('epoch', last_seen_at), date_part('epoch', updated_at),
  date_part('epoch', last_activity), revision, attributes,
  created_by_event, 'written'
FROM written
UNION ALL
SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision, u.attributes,
  u.created_by_event, e.verdict
FROM held AS u JOIN edits AS e ON e.user_id = u.user_id
WHERE NOT EXISTS (SELECT FROM written WHERE written.user_id = u.user_id);

-- read_lives
SELECT user_id, created_at::text
FROM :users
WHERE user_id = ANY($1::bigint[])
  AND current_setting('userprofile.serving')::boolean;

-- delete_users
WITH held AS MATERIALIZED (
  SELECT user_id, created_at, revision
  FROM :users
  WHERE user_id = ANY($1::bigint[])
    AND current_setting('userprofile.serving')::boolean
  ORDER BY user_id
  FOR UPDATE),
deleted AS (
  DELETE FROM :users AS u
  USING unnest($1::bigint[], $2::timestamp[], $3::bigint[])
    AS d (user_id, created_at, expected_revision)
  WHERE u.user_id = ANY (ARRAY[d.user_id])
    AND u.created_at = d.created_at
    AND (d.expected_revision <> u.revision) IS NOT TRUE
    AND (SELECT count(*) FROM held) > 0
  RETURNING u.user_id, u.revision),
told AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT user_id, revision + 1, 'd', statement_timestamp()
  FROM deleted),
forgotten AS MATERIALIZED (
  SELECT g.bot, g.key
  FROM (
    SELECT t.user_id, t.bot, t.key
    FROM deleted AS d, LATERAL (
      SELECT s.user_id, s.bot, s.key
      FROM :schema.userprofile_sessions AS s
      WHERE s.user_id = d.user_id
      OFFSET 0) AS t
    ORDER BY t.bot COLLATE "C", t.key COLLATE "C"
    OFFSET 0) AS g, LATERAL (
    SELECT
    FROM :schema.userprofile_sessions AS s
    WHERE s.bot = g.bot AND s.key = g.key
      AND s.user_id IS NOT DISTINCT FROM g.user_id
    LIMIT 1
    FOR UPDATE) AS s),
forgot AS (
  DELETE FROM :schema.userprofile_sessions AS s
  USING forgotten AS g
  WHERE s.bot = ANY (ARRAY[g.bot]) AND s.key >= g.key AND s.key <= g.key)
SELECT held.user_id, held.revision,
  held.user_id IN (SELECT user_id FROM deleted)
FROM held JOIN unnest($1::bigint[], $2::timestamp[]) AS d (user_id, created_at)
  ON held.user_id = d.user_id AND held.created_at = d.created_at;

-- may_delete
SELECT has_table_privilege(:'users'::regclass, 'DELETE');

-- read_changes
WITH page AS MATERIALIZED (
  SELECT xid, user_id, revision, kind, concat_ws('.', current_setting('userprofile.cluster'),
    tableoid, xid, user_id, revision,
    (date_part('epoch', changed_at) * 1000000)::bigint) AS place,
    kind = 'b' OR (kind = 'c' AND NOT $20::boolean)
      OR EXISTS (SELECT FROM :schema.userprofile_changes AS d
        WHERE d.kind = 'd' AND d.user_id = p.user_id AND d.xid > p.xid
          AND d.xid < pg_snapshot_xmax(pg_current_snapshot())) AS is_untold
  FROM :schema.userprofile_changes AS p
  WHERE (xid, user_id, revision) > ($1::xid8, $2::bigint, $17::bigint)
    AND xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY xid, user_id, revision
  LIMIT $19::integer)
SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision, u.attributes,
  u.created_by_event, page.user_id, page.place, page.kind = 'd',
  page.is_untold, (($3::boolean IS NULL OR u.onboarding_completed = $3)
      AND ($4::boolean IS NULL OR u.is_active = $4)
      AND ($10::timestamp IS NULL OR u.created_at >= $10)
      AND ($11::timestamp IS NULL OR u.created_at < $11)
      AND ($12::timestamptz IS NULL OR u.last_seen_at >= $12)
      AND ($13::timestamptz IS NULL OR u.last_seen_at < $13)
      AND ($14::timestamptz IS NULL OR u.last_activity >= $14)
      AND ($15::timestamptz IS NULL OR u.last_activity < $15)
      AND ($5::text IS NULL OR u.study_track = $5)
      AND ($6::text IS NULL OR u.grade_band = $6)
      AND ($7::text IS NULL OR u.grade_year = $7)
      AND ($8::text IS NULL
        OR starts_with(lower(u.language_code COLLATE "C") || '-', $8))
      AND ($9::text IS NULL OR starts_with(u.nickname, $9))
      AND ($16::jsonb IS NULL OR NOT EXISTS (
        SELECT FROM jsonb_each($16) AS wanted
        WHERE nullif(u.attributes -> wanted.key, 'null')
          IS DISTINCT FROM nullif(wanted.value, 'null')))) IS TRUE
FROM (
  SELECT FROM :schema.userprofile_changes
  WHERE xid = $1::xid8 AND user_id = $2::bigint AND revision = $17::bigint
    AND concat_ws('.', current_setting('userprofile.cluster'),
      tableoid, xid, user_id, revision,
      (date_part('epoch', changed_at) * 1000000)::bigint) = $18
    AND xid < pg_snapshot_xmin(pg_current_snapshot())
    AND current_setting('userprofile.serving')::boolean) AS place
  LEFT JOIN page ON true
  LEFT JOIN :users AS u ON u.user_id = ANY (ARRAY[page.user_id])
    AND NOT page.is_untold
ORDER BY page.xid, page.user_id, page.revision;

-- find_newest_change
SELECT (
  SELECT concat_ws('.', current_setting('userprofile.cluster'),
    tableoid, xid, user_id, revision,
    (date_part('epoch', changed_at) * 1000000)::bigint)
  FROM :schema.userprofile_changes
  WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY xid DESC, user_id DESC, revision DESC
  LIMIT 1), coalesce((
  SELECT date_part('epoch', statement_timestamp() - changed_at)
  FROM :schema.userprofile_changes
  WHERE NOT xid < pg_snapshot_xmin(pg_current_snapshot()) AND xid < pg_snapshot_xmax(pg_current_snapshot())
  ORDER BY xid, user_id, revision
  LIMIT 1), 0)
WHERE current_setting('userprofile.serving')::boolean;

-- find_surplus_changes
SELECT xid, user_id, revision
FROM :schema.userprofile_changes
WHERE (xid, user_id, revision) <= ($1::xid8, $2::bigint, $3::bigint)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid DESC, user_id DESC, revision DESC
OFFSET $4::bigint
LIMIT 1;

-- trim_changes
WITH oldest AS MATERIALIZED (
  SELECT xid, user_id, revision,
    lead(changed_at) OVER (ORDER BY xid, user_id, revision) AS followed_at
  FROM :schema.userprofile_changes
  WHERE (xid, user_id, revision) > ($5::xid8, $6::bigint, $7::bigint)
    AND xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY xid, user_id, revision
  LIMIT $8::integer),
last AS MATERIALIZED (
  SELECT xid, user_id, revision, place
  FROM (
    SELECT xid, user_id, revision, row_number() OVER oldest_first AS place,
      bool_and(followed_at IS NOT NULL
        AND (followed_at < statement_timestamp() - $1::interval
          OR ((xid, user_id, revision) <= ($2::xid8, $3::bigint, $4::bigint))
            IS TRUE)) OVER oldest_first AS is_old
    FROM oldest
    WINDOW oldest_first AS (ORDER BY xid, user_id, revision)) AS o
  WHERE is_old
  ORDER BY place DESC
  LIMIT 1),
trimmed AS (
  DELETE FROM :schema.userprofile_changes
  WHERE (xid, user_id, revision) > ($5::xid8, $6::bigint, $7::bigint)
    AND (xid, user_id, revision) <= (SELECT xid, user_id, revision FROM last))
SELECT xid, user_id, revision
FROM last
WHERE place = $8::integer;

-- discard_changes
WITH discarded AS (
  DELETE FROM :schema.userprofile_changes
  WHERE NOT xid < pg_snapshot_xmax(pg_current_snapshot())
    AND (xid, user_id, revision) <= (
      SELECT xid, user_id, revision
      FROM (
        SELECT xid, user_id, revision
        FROM :schema.userprofile_changes
        WHERE NOT xid < pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY xid, user_id, revision
        LIMIT $1::integer) AS o
      ORDER BY xid DESC, user_id DESC, revision DESC
      LIMIT 1)
  RETURNING xid),
begun AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT 0, 0, 'b', statement_timestamp()
  WHERE NOT EXISTS (SELECT FROM :schema.userprofile_changes WHERE xid < pg_snapshot_xmax(pg_current_snapshot())))
SELECT count(*)
FROM discarded;

-- find_taken_nicknames
SELECT g.user_id, EXISTS (SELECT FROM :users AS u
    WHERE u.user_id = ANY (ARRAY[g.user_id]) AND u.nickname <> '') AS has_one
FROM unnest($1::bigint[], $2::text[]) AS g (user_id, nickname)
WHERE g.nickname <> ''
  AND current_setting('userprofile.serving')::boolean
  AND (EXISTS (SELECT FROM :users AS u
      WHERE u.nickname = g.nickname AND u.user_id <> g.user_id)
    OR EXISTS (SELECT FROM :users AS u
      WHERE u.user_id = ANY (ARRAY[g.user_id]) AND u.nickname <> ''));

-- import_users
WITH given AS MATERIALIZED (
  SELECT *
  FROM unnest($2::bigint[], $3::character varying[], $4::character varying[],
    $5::text[], $6::text[], $7::boolean[], $8::text[],
    $9::character varying[], $10::text[], $11::text[], $12::text[],
    $13::text[], $14::boolean[], $15::timestamp without time zone[],
    $16::timestamp with time zone[],
    $17::timestamp without time zone[],
    $18::timestamp with time zone[], $19::bigint[], $20::jsonb[],
    $21::text[]) AS g (user_id, username, first_name, last_name, language_code,
      onboarding_completed, real_name, nickname, study_track, grade_band,
      grade_year, phone, is_active, created_at, last_seen_at, updated_at,
      last_activity, revision, attributes, created_by_event)
  WHERE current_setting('userprofile.serving')::boolean),
held AS MATERIALIZED (
  SELECT g.user_id, g.username, g.first_name, g.last_name, g.language_code,
    g.onboarding_completed, g.real_name, g.nickname, g.study_track,
    g.grade_band, g.grade_year, g.phone, g.is_active, g.created_at,
    g.last_seen_at, g.updated_at, g.last_activity, g.revision,
    g.attributes, g.created_by_event
  FROM given AS g JOIN :users AS u ON u.user_id = ANY (ARRAY[g.user_id])
  WHERE (coalesce(u.username, '') = '' AND g.username <> '' OR
    coalesce(u.first_name, '') = '' AND g.first_name <> '' OR
    coalesce(u.last_name, '') = '' AND g.last_name <> '' OR
    coalesce(u.language_code, '') = '' AND g.language_code <> '')
    OR (coalesce(u.real_name, '') = '' AND g.real_name <> '' OR
      coalesce(u.nickname, '') = '' AND g.nickname <> '' OR
      coalesce(u.study_track, '') = '' AND g.study_track <> '' OR
      coalesce(u.grade_band, '') = '' AND g.grade_band <> '' OR
      coalesce(u.grade_year, '') = '' AND g.grade_year <> '' OR
      coalesce(u.phone, '') = '' AND g.phone <> '')
    OR (g.onboarding_completed AND NOT coalesce(u.onboarding_completed, false))
    OR least(u.created_at, g.created_at) IS DISTINCT FROM u.created_at
    OR greatest(u.last_seen_at, g.last_seen_at)
      IS DISTINCT FROM u.last_seen_at
    OR greatest(u.last_activity, g.last_activity)
      IS DISTINCT FROM u.last_activity
    OR CASE
        WHEN g.attributes IS NULL THEN u.attributes
        WHEN jsonb_typeof(u.attributes) IS DISTINCT FROM 'object' THEN g.attributes
        WHEN octet_length((g.attributes || u.attributes)::text) > 16384
          OR (SELECT count(*) FROM jsonb_object_keys(g.attributes || u.attributes))
            > 64 THEN u.attributes
        ELSE g.attributes || u.attributes END IS DISTINCT FROM u.attributes
  ORDER BY u.user_id
  FOR UPDATE OF u),
strangers AS MATERIALIZED (
  SELECT g.*
  FROM given AS g
  WHERE NOT EXISTS (SELECT FROM :users AS u
    WHERE u.user_id = ANY (ARRAY[g.user_id]))),
inserted AS (
  INSERT INTO :users AS u (user_id, username, first_name, last_name, language_code,
    onboarding_completed, real_name, nickname, study_track, grade_band,
    grade_year, phone, is_active, created_at, last_seen_at, updated_at,
    last_activity, revision, attributes, created_by_event)
  SELECT g.user_id, g.username, g.first_name, g.last_name, g.language_code,
    g.onboarding_completed, g.real_name, g.nickname, g.study_track,
    g.grade_band, g.grade_year, g.phone, g.is_active, g.created_at,
    g.last_seen_at, g.updated_at, g.last_activity, g.revision,
    g.attributes, g.created_by_event
  FROM strangers AS g
  WHERE (SELECT count(*) FROM held) >= 0
  ORDER BY g.user_id
  ON CONFLICT (user_id) DO NOTHING
  RETURNING u.user_id, u.revision),
changed AS (
  UPDATE :users AS u
  SET username = coalesce(nullif(u.username, ''), g.username),
    first_name = coalesce(nullif(u.first_name, ''), g.first_name),
    last_name = coalesce(nullif(u.last_name, ''), g.last_name),
    language_code = coalesce(nullif(u.language_code, ''), g.language_code),
    real_name = coalesce(nullif(u.real_name, ''), g.real_name),
      nickname = coalesce(nullif(u.nickname, ''), g.nickname),
      study_track = coalesce(nullif(u.study_track, ''), g.study_track),
      grade_band = coalesce(nullif(u.grade_band, ''), g.grade_band),
      grade_year = coalesce(nullif(u.grade_year, ''), g.grade_year),
      phone = coalesce(nullif(u.phone, ''), g.phone),
    onboarding_completed = coalesce(u.onboarding_completed, false) OR g.onboarding_completed,
    created_at = least(u.created_at, g.created_at),
    last_seen_at = greatest(u.last_seen_at, g.last_seen_at),
    last_activity = greatest(u.last_activity, g.last_activity),
    attributes = CASE
        WHEN g.attributes IS NULL THEN u.attributes
        WHEN jsonb_typeof(u.attributes) IS DISTINCT FROM 'object' THEN g.attributes
        WHEN octet_length((g.attributes || u.attributes)::text) > 16384
          OR (SELECT count(*) FROM jsonb_object_keys(g.attributes || u.attributes))
            > 64 THEN u.attributes
        ELSE g.attributes || u.attributes END,
    updated_at = $1::timestamptz AT TIME ZONE 'UTC',
    revision = greatest(u.revision, 1) + 1
  FROM held AS g
  WHERE u.user_id = ANY (ARRAY[g.user_id])
  RETURNING u.user_id, u.revision),
written AS (
  SELECT user_id, revision FROM inserted
  UNION ALL
  SELECT user_id, revision FROM changed),
told AS (
  INSERT INTO :schema.userprofile_changes (user_id, revision, kind, changed_at)
  SELECT user_id, revision, 'w', statement_timestamp()
  FROM written)
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM changed),
  (SELECT count(*) FROM strangers),
  (SELECT coalesce(string_agg(u.user_id::text, ','), '')
    FROM given AS g JOIN :users AS u ON u.user_id = ANY (ARRAY[g.user_id])
    WHERE g.attributes IS NOT NULL
      AND CASE
          WHEN g.attributes IS NULL THEN u.attributes
          WHEN jsonb_typeof(u.attributes) IS DISTINCT FROM 'object' THEN g.attributes
          WHEN octet_length((g.attributes || u.attributes)::text) > 16384
            OR (SELECT count(*) FROM jsonb_object_keys(g.attributes || u.attributes))
              > 64 THEN u.attributes
          ELSE g.attributes || u.attributes END = u.attributes
      AND NOT u.attributes ?& ARRAY(SELECT jsonb_object_keys(g.attributes)));

-- get_sessions
SELECT g.bot, g.key, encode(s.value, 'hex'), s.revision,
  date_part('epoch', s.updated_at), date_part('epoch', s.expires_at), s.user_id
FROM unnest($1::text[], $2::text[]) AS g (bot, key), LATERAL (
  SELECT value, revision, updated_at, expires_at, user_id
  FROM :schema.userprofile_sessions AS s
  WHERE s.bot = g.bot AND s.key = g.key
    AND (s.expires_at <= statement_timestamp()) IS NOT TRUE
  LIMIT 1) AS s
WHERE current_setting('userprofile.serving')::boolean;

-- write_sessions
WITH held AS MATERIALIZED (
  SELECT g.bot, g.key, g.value, g.expires_at, g.user_id, s.updated_at, s.stored,
    greatest(s.revision + 1, (date_part('epoch', $7::timestamptz) * 1000000)::bigint) AS revision,
    CASE WHEN g.value IS NULL AND s.stored = 0 THEN 'missing'
      WHEN g.expected_revision <> s.stored THEN 'revision'
      WHEN g.value IS NULL THEN 'delete' ELSE 'write' END AS verdict
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
    $5::bigint[], $6::bigint[])
    AS g (bot, key, value, expires_at, user_id, expected_revision), LATERAL (
    SELECT s.updated_at, s.revision,
      CASE WHEN s.expires_at <= statement_timestamp() THEN 0 ELSE s.revision END AS stored
    FROM :schema.userprofile_sessions AS s
    WHERE s.bot = g.bot AND s.key = g.key
    LIMIT 1
    FOR UPDATE) AS s
  WHERE current_setting('userprofile.serving')::boolean),
written AS (
  UPDATE :schema.userprofile_sessions AS s
  SET value = decode(g.value, 'hex'), revision = g.revision,
    updated_at = $7::timestamptz, expires_at = g.expires_at,
    user_id = g.user_id
  FROM held AS g
  WHERE s.bot = ANY (ARRAY[g.bot]) AND s.key >= g.key AND s.key <= g.key
    AND g.verdict = 'write'
  RETURNING s.bot, s.key),
deleted AS (
  DELETE FROM :schema.userprofile_sessions AS s
  USING held AS g
  WHERE s.bot = ANY (ARRAY[g.bot]) AND s.key >= g.key AND s.key <= g.key
    AND g.verdict = 'delete'
  RETURNING s.bot, s.key),
done AS (
  SELECT bot, key FROM written UNION ALL SELECT bot, key FROM deleted)
SELECT bot, key, verdict, stored, revision, date_part('epoch', updated_at),
  (bot, key) IN (SELECT bot, key FROM done)
FROM held;

-- insert_sessions
INSERT INTO :schema.userprofile_sessions AS s (bot, key, value, revision, updated_at, expires_at,
  user_id)
SELECT g.bot, g.key, decode(g.value, 'hex'), (date_part('epoch', $7::timestamptz) * 1000000)::bigint, $7::timestamptz,
  g.expires_at, g.user_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[],
  $5::bigint[], $6::bigint[])
  AS g (bot, key, value, expires_at, user_id, expected_revision)
WHERE current_setting('userprofile.serving')::boolean
ON CONFLICT (bot, key) DO NOTHING
RETURNING s.bot, s.key, s.revision;

-- trim_sessions
WITH expired AS MATERIALIZED (
  SELECT s.bot, s.key
  FROM :schema.userprofile_sessions AS s
  WHERE s.expires_at <= statement_timestamp()
  ORDER BY s.expires_at
  LIMIT $1::integer
  FOR UPDATE SKIP LOCKED)
DELETE FROM :schema.userprofile_sessions AS s
USING expired AS g
WHERE s.bot = ANY (ARRAY[g.bot]) AND s.key >= g.key AND s.key <= g.key;

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

-- list_profiles
SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
  u.onboarding_completed, u.real_name, u.nickname, u.study_track,
  u.grade_band, u.grade_year, u.phone, u.is_active,
  date_part('epoch', u.created_at),
  date_part('epoch', u.last_seen_at),
  date_part('epoch', u.updated_at),
  date_part('epoch', u.last_activity), u.revision, u.attributes,
  u.created_by_event, reach.user_id
FROM (
  SELECT (SELECT r.user_id
    FROM :users AS r
    WHERE r.user_id > $1::bigint
    ORDER BY r.user_id
    OFFSET $2::bigint - 1
    LIMIT CASE WHEN $2::bigint IS NULL THEN 0 ELSE 1 END) AS user_id
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0) AS reach LEFT JOIN LATERAL (
  SELECT u.user_id, u.username, u.first_name, u.last_name, u.language_code,
    u.onboarding_completed, u.real_name, u.nickname, u.study_track,
    u.grade_band, u.grade_year, u.phone, u.is_active, u.created_at,
    u.last_seen_at, u.updated_at, u.last_activity, u.revision,
    u.attributes, u.created_by_event
  FROM :users AS u
  WHERE u.user_id > $1::bigint
      AND u.user_id <= coalesce(reach.user_id, 9223372036854775807)
    AND ($3::boolean IS NULL OR u.onboarding_completed = $3)
        AND ($4::boolean IS NULL OR u.is_active = $4)
        AND ($10::timestamp IS NULL OR u.created_at >= $10)
        AND ($11::timestamp IS NULL OR u.created_at < $11)
        AND ($12::timestamptz IS NULL OR u.last_seen_at >= $12)
        AND ($13::timestamptz IS NULL OR u.last_seen_at < $13)
        AND ($14::timestamptz IS NULL OR u.last_activity >= $14)
        AND ($15::timestamptz IS NULL OR u.last_activity < $15)
        AND ($5::text IS NULL OR u.study_track = $5)
        AND ($6::text IS NULL OR u.grade_band = $6)
        AND ($7::text IS NULL OR u.grade_year = $7)
        AND ($8::text IS NULL
          OR starts_with(lower(u.language_code COLLATE "C") || '-', $8))
        AND ($9::text IS NULL OR starts_with(u.nickname, $9))
        AND ($16::jsonb IS NULL OR NOT EXISTS (
          SELECT FROM jsonb_each($16) AS wanted
          WHERE nullif(u.attributes -> wanted.key, 'null')
            IS DISTINCT FROM nullif(wanted.value, 'null')))
  ORDER BY u.user_id
  LIMIT $17::bigint) AS u ON true;

-- count_profiles
SELECT (SELECT count(*)
  FROM :users AS u
  WHERE u.user_id > $1::bigint
      AND u.user_id <= coalesce(reach.user_id, 9223372036854775807)
    AND ($3::boolean IS NULL OR u.onboarding_completed = $3)
        AND ($4::boolean IS NULL OR u.is_active = $4)
        AND ($10::timestamp IS NULL OR u.created_at >= $10)
        AND ($11::timestamp IS NULL OR u.created_at < $11)
        AND ($12::timestamptz IS NULL OR u.last_seen_at >= $12)
        AND ($13::timestamptz IS NULL OR u.last_seen_at < $13)
        AND ($14::timestamptz IS NULL OR u.last_activity >= $14)
        AND ($15::timestamptz IS NULL OR u.last_activity < $15)
        AND ($5::text IS NULL OR u.study_track = $5)
        AND ($6::text IS NULL OR u.grade_band = $6)
        AND ($7::text IS NULL OR u.grade_year = $7)
        AND ($8::text IS NULL
          OR starts_with(lower(u.language_code COLLATE "C") || '-', $8))
        AND ($9::text IS NULL OR starts_with(u.nickname, $9))
        AND ($16::jsonb IS NULL OR NOT EXISTS (
          SELECT FROM jsonb_each($16) AS wanted
          WHERE nullif(u.attributes -> wanted.key, 'null')
            IS DISTINCT FROM nullif(wanted.value, 'null')))), reach.user_id
FROM (
  SELECT (SELECT r.user_id
    FROM :users AS r
    WHERE r.user_id > $1::bigint
    ORDER BY r.user_id
    OFFSET $2::bigint - 1
    LIMIT CASE WHEN $2::bigint IS NULL THEN 0 ELSE 1 END) AS user_id
  WHERE current_setting('userprofile.serving')::boolean
  OFFSET 0) AS reach;

-- find_token_key
SELECT CASE WHEN t.oid IS NULL THEN 'missing' WHEN t.relkind <> 'r' OR NOT pg_has_role(t.relowner, u.relowner, 'MEMBER')  OR NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.oid   AND attname = 'key' AND atttypid = 'bytea'::regtype) THEN 'foreign' WHEN NOT has_table_privilege(coalesce($1::name, current_user), t.oid,  'SELECT') THEN 'hidden' END, has_table_privilege(t.oid, 'SELECT') FROM pg_class AS u LEFT JOIN pg_class AS t  ON t.relnamespace = u.relnamespace  AND t.relname = 'userprofile_token_key' WHERE u.oid = to_regclass(:'users');

-- read_token_key
SELECT encode(key, 'hex') FROM :schema.userprofile_token_key;
