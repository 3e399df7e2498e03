-- NULL meant to the bots what is stored now. A user whose first contact nobody
-- recorded was there at the latest at the oldest time known. A row of revision
-- 0 would look new when it is written next.
WITH lacking AS (
  SELECT user_id FROM users
  WHERE user_id > $1 AND user_id <= $2
    AND (is_active IS NULL OR onboarding_completed IS NULL
         OR created_at IS NULL OR revision IS NULL OR revision < 1)
  ORDER BY user_id
  FOR NO KEY UPDATE
)
UPDATE users SET
  is_active = coalesce(is_active, true),
  onboarding_completed = coalesce(onboarding_completed, false),
  created_at = coalesce(created_at, LEAST(
    last_seen_at AT TIME ZONE 'UTC', last_activity AT TIME ZONE 'UTC',
    updated_at, clock_timestamp() AT TIME ZONE 'UTC')),
  revision = GREATEST(revision, 1)
FROM lacking WHERE users.user_id = lacking.user_id
