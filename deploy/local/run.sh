#!/usr/bin/env bash
# Installs what is missing, builds, and serves on the embedded database until
# Ctrl-C. Arguments go to "userprofile-server serve" (see its --help).
#   run.sh [ARGUMENTS...]
# Example: run.sh --database embedded:/tmp/try --listen 127.0.0.1:50052
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Prints the value that the server takes for a flag: from the arguments, the
# environment, or its default.
#   value_of FLAG DEFAULT ARGUMENTS...
value_of() {
  local flag=$1 variable value=$2
  variable=USERPROFILE_$(tr 'a-z-' 'A-Z_' <<<"$flag")
  value=${!variable:-$value}
  shift 2
  while (($#)); do
    case $1 in
      --"$flag") value=${2:-} ;;
      --"$flag"=*) value=${1#*=} ;;
    esac
    shift
  done
  echo "$value"
}

print_what_to_try() {
  local server=$1 admin=$2
  cat <<WHAT

Serving. In another terminal, in $root:

  # A Telegram update comes in; who is it? (Again: the user is returning.)
  echo '{"update_id":1,"message":{"message_id":1,"date":1764000000,"chat":{"id":12345,"type":"private"},"from":{"id":12345,"is_bot":false,"first_name":"Test"},"text":"/start"}}' |
    build/release/bin/userprofile-adapter stdin --server $server

  # Any gRPC client can ask; the service describes itself by reflection.
  npx --yes @bufbuild/buf curl --protocol grpc -d '{"user_id": 12345}' \\
    http://$server/userprofile.v1.UserProfileService/GetProfile
  grpcurl -plaintext -d '{"user_id": 12345}' \\
    $server userprofile.v1.UserProfileService/GetProfile

  # Is it ready, and if not, why?
  curl http://$admin/readyz

Ctrl-C stops the server. What was answered is kept for the next start.

WHAT
}

# Waits until the server with this process id is ready; fails once it is gone.
#   ready PID ADMIN
ready() {
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.2
    if curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null \
      "http://$2/readyz" && kill -0 "$1" 2>/dev/null; then
      return 0
    fi
  done
  return 1
}

"$root/deploy/local/build.sh" release userprofile-server \
  userprofile-adapter userprofile
server=$(value_of listen 127.0.0.1:50051 "$@")
admin=$(value_of admin-listen 127.0.0.1:9464 "$@")
# This process becomes the server, so that signals reach it. The one that waits
# is nobody's child, for the server to have none that it does not know.
( (ready $$ "$admin" && print_what_to_try "$server" "$admin") & )
exec "$root/build/release/bin/userprofile-server" serve "$@"
