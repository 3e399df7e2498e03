#!/usr/bin/env bash
# Compares UpsertUser and GetProfile with pgbench doing the same upsert and read
# one row at a time, on the same database, in turns. Traffic stays on loopback.
#   run.sh [ROUNDS [SECONDS [IN_FLIGHT [USERS [FLAGS OF serve...]]]]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds=${1:-3} seconds=${2:-10} in_flight=${3:-128} users=${4:-100000}
shift $(($# < 4 ? $# : 4))

deploy/local/build.sh release userprofile-server userprofile-bench
bin=$PWD/build/release/bin
pg=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -1)
data=$(mktemp -d)
server=
finish() {
  if [[ $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  as_owner "$pg/pg_ctl" -D "$data/db" -m fast stop >/dev/null || true
  rm -rf "$data"
}
trap finish EXIT

# PostgreSQL does not run as root.
as_owner() {
  if ((EUID == 0)); then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}
if ((EUID == 0)); then chown postgres "$data"; fi
as_owner "$pg/initdb" -D "$data/db" -U userprofile -A trust -E UTF8 >/dev/null
as_owner "$pg/pg_ctl" -D "$data/db" -l "$data/postgres.log" -w start -o \
  "-k $data -c listen_addresses= -c max_connections=$((in_flight + 50))" \
  >/dev/null
as_owner "$pg/createdb" -h "$data" -U userprofile userprofile

: >"$data/log"
"$bin/userprofile-server" serve --migrate --listen 127.0.0.1:0 \
  --database "host=$data user=userprofile dbname=userprofile" \
  --admin-listen 127.0.0.1:0 "$@" 2>"$data/log" &
server=$!
address=
until [[ $address ]]; do
  kill -0 "$server" || { cat "$data/log"; exit 1; }
  address=$(sed -n 's/.*listening on \([0-9.:]*\),.*/\1/p' "$data/log")
  sleep 0.1
done

pgbench() {
  as_owner "$pg/pgbench" -h "$data" -U userprofile -n -M prepared \
    -c "$in_flight" -j 2 -T "$seconds" -f "$data/$1.sql" userprofile |
    sed -n "s/^tps = \([0-9]*\).*/pgbench $1: \1 per second/p"
}
cat >"$data/upsert.sql" <<SQL
\set id random(1, $users)
INSERT INTO users AS u (user_id, username, first_name, last_name,
  language_code, is_active, onboarding_completed, created_at, last_seen_at,
  updated_at, last_activity, revision)
VALUES (:id, 'user' || :id, 'Test', 'User', 'en', true, false, now(), now(),
  now(), now(), 1)
ON CONFLICT (user_id) DO UPDATE SET username = excluded.username,
  first_name = excluded.first_name, last_name = excluded.last_name,
  language_code = excluded.language_code, is_active = excluded.is_active,
  last_seen_at = excluded.last_seen_at,
  last_activity = excluded.last_activity, revision = u.revision + 1
RETURNING *;
SQL
cat >"$data/get.sql" <<SQL
\set id random(1, $users)
SELECT * FROM users WHERE user_id = :id;
SQL

for ((round = 1; round <= rounds; ++round)); do
  echo "round $round of $rounds, $in_flight in flight, $users users"
  for what in upsert get; do
    pgbench "$what"
    "$bin/userprofile-bench" --server "$address" --method "$what" \
      --in-flight "$in_flight" --users "$users" --seconds "$seconds"
  done
done
