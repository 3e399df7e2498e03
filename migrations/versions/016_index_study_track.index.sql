-- For lists by study track.
CREATE INDEX CONCURRENTLY idx_users_study_track
  ON users (study_track);
