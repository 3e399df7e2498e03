#!/usr/bin/env bash
# Migrates a large table, then mends it under a load of UpsertUser and GetProfile,
# and compares the worst window's latencies with the best one's before. Fails if a
# call fails, or if p99 becomes five times what it was. Where another transaction
# holds the table, p99 is told but not judged: each try of the repair holds calls
# up for as long as it waits for its lock, 200 ms. Traffic stays on loopback;
# commits reach the disk.
#   migration.sh [USERS [IN_FLIGHT [SECONDS OF A WINDOW]]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
users=${1:-1000000} in_flight=${2:-16} seconds=${3:-10}

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
as_owner "$pg/pg_ctl" -D "$data/db" -l "$data/postgres.log" -w start \
  -o "-k $data -c listen_addresses= -c shared_buffers=256MB" >/dev/null
as_owner "$pg/createdb" -h "$data" -U userprofile userprofile
conninfo="host=$data user=userprofile dbname=userprofile"
sql() { as_owner "$pg/psql" -d "$conninfo" -qAtX -c "$1"; }

times='s/.*info *\(.* in [0-9.]*[mu]*s\)$/  \1/p'
echo "A legacy table of $users users, a third of them without is_active:"
sql "CREATE TABLE users (user_id bigint PRIMARY KEY, is_active boolean,
       created_at timestamp, first_name varchar(64), referral text);
     INSERT INTO users SELECT i, nullif(i % 3, 0) > 0, now(), 'User ' || i,
       'r' || i % 100 FROM generate_series(1, $users) AS i"
sql "VACUUM ANALYZE users"
"$bin/userprofile-server" migrate up --database "$conninfo" 2>&1 |
  sed -n "$times"
sql "VACUUM ANALYZE users"

: >"$data/log"
"$bin/userprofile-server" serve --listen 127.0.0.1:0 --database "$conninfo" \
  --admin-listen 127.0.0.1:0 2>"$data/log" &
server=$!
address=
until [[ $address ]]; do
  kill -0 "$server" || { cat "$data/log"; exit 1; }
  address=$(sed -n 's/.*listening on \([0-9.:]*\),.*/\1/p' "$data/log")
  sleep 0.1
done

# One window of both loads at once. Leaves the worse p99 in $p99.
worst=0 failed=0
window() {
  local method jobs=()
  for method in upsert get; do
    "$bin/userprofile-bench" --server "$address" --mix "$method" \
      --in-flight "$in_flight" --users "$users" --seconds "$seconds" \
      >"$data/$method.out" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || failed=1; done
  for method in upsert get; do
    sed -n 's/.*"per_second":\([0-9]*\).*"failures":\({[^}]*}\).*"p50_us":\([0-9]*\).*"p99_us":\([0-9]*\).*"max_us":\([0-9]*\).*/  '"$method"': \1 calls per second, p50 \3 us, p99 \4 us, longest \5 us, failures \2/p' \
      "$data/$method.out"
  done
  p99=$(sed -n 's/.*"p99_us":\([0-9]*\).*/\1/p' \
    "$data/upsert.out" "$data/get.out" | sort -g | tail -1)
}

# Begins when the calls of the first window are measured.
repair() {
  sleep 4
  "$bin/userprofile-server" schema repair --no-backup --database "$conninfo" \
    >"$data/repair.log" 2>&1
}

# Windows for as long as a process runs.
windows_while() {
  worst=0
  while kill -0 "$1" 2>/dev/null; do
    window
    worst=$(printf '%s\n' "$worst" "$p99" | sort -g | tail -1)
  done
  wait "$1" || failed=1
}

echo "Before, $in_flight upserts and $in_flight reads in flight:"
window
before=$p99
window
before=$(printf '%s\n' "$before" "$p99" | sort -g | head -1)

echo "While the revision of $users users is raised, and an index is built:"
sql "UPDATE users SET revision = 0"
sql "VACUUM ANALYZE users"
sql "DROP INDEX idx_users_study_track"
repair &
windows_while $!
sed -n "$times" "$data/repair.log"
during=$worst

echo "While another transaction holds the table for 20 s and a default waits:"
sql "ALTER TABLE users ALTER is_active SET DEFAULT false"
sql "BEGIN; SELECT FROM users LIMIT 1; SELECT pg_sleep(20); COMMIT" \
  >/dev/null &
repair &
windows_while $!
wait_attempts=$(grep -c 'waits for a lock' "$data/repair.log" || true)
echo "  the repair tried $((wait_attempts + 1)) times"

echo "p99 before $before us, during $during us, with the table held $worst us"
if ((failed)) || awk "BEGIN { exit !($during >= 5 * $before) }"; then
  echo "NOT as it should be: a call failed, or p99 grew five times" >&2
  exit 1
fi
