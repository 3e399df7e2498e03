#!/usr/bin/env bash
# Checks who includes whom: the tables below are the rule, ARCHITECTURE.md says
# why. A folder may include itself, and everybody the generated messages.
#   layers.sh [ROOT]    ROOT: the checkout, if not the one of this script
set -euo pipefail
read_table=$(<"$(dirname "${BASH_SOURCE[0]}")/read_table.awk")
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

# A folder, and the folders that it may include.
layers='
base
ops                 base
server/postgres     base ops
server/users
server/schema       base server/postgres server/users migrations ops
server/store        base server/postgres server/users ops
server/access       base ops
server/api          base server/access server/store server/users ops
server/transport    base server/api server/access ops
server/app          base server/postgres server/schema server/store
                    server/access server/api server/transport ops
server              base server/app ops
client              base
client/telegram     base
client/programs     base client ops
client/adapter      base client client/programs client/telegram ops
client/command      base client client/programs ops
client/examples
tests/support       base server/postgres server/schema
tests               base tests/support client client/telegram
tests/bench         base
'

# What tests beside the code, and what helps them, may include besides; only
# they may include what helps them.
for_tests='tests/support migrations server/schema server/transport'
is_test='_(test|benchmark)[.]cc$|_testing[.](h|cc)$|/testing([.]h|[.]cc|/)'

# The start of an include, and the folders that may include it. What is in no
# row (the standard library, Abseil, ...) is free to all.
libraries='
pqxx                server/postgres
libpq               server/postgres
grpcpp/             server/access server/api server/transport server/app server
                    client tests/support tests tests/bench
grpc/               server/access server/api server/transport server/app server
                    client tests/support tests tests/bench
userprofile/v1/user_profile_service.grpc.pb.h
                    server/api server/transport server/app server client
                    tests/support tests tests/bench
userprofile/client/ client client/programs client/adapter client/command
                    client/examples tests
userprofile/telegram/
                    client/telegram client/adapter client/examples tests
prometheus/         ops server/app
microhttpd.h        ops
curl/               client/adapter client/examples
phonenumbers/       server/api
CLI/                ops tests/bench
'

find base ops server client tests migrations -name '*.h' -o -name '*.cc' | sort |
  xargs grep -Hn '^[[:space:]]*#[[:space:]]*include' |
  awk -v layers="$layers" -v libraries="$libraries" -v for_tests="$for_tests" \
    -v is_test="$is_test" "$read_table"'

# The longest row of the layers that the path is in.
function folder_of(path) {
  while (sub(/\/[^\/]*$/, "", path)) {
    if (path in layer) return path
  }
  return ""
}

function complain(what) {
  printf "%s:%s: %s\n", file, line, what
  bad = 1
}

BEGIN {
  read_table(layers, layer)
  read_table(libraries, library)
}

{
  split($0, field, ":")
  file = field[1]
  line = field[2]
  included = $0
  gsub(/^[^<"]*[<"]|[>"].*$/, "", included)
  includes++

  folder = folder_of(file)
  if (folder == "") folder = file
  allowed = layer[folder] folder " "
  if (file ~ is_test) {
    allowed = allowed for_tests " "
  } else if (included ~ is_test) {
    complain("only tests may include what helps tests (" included ")")
  }

  if (included ~ /^(base|ops|server|client|tests|migrations)\//) {
    target = folder_of(included)
    if (target == "") target = substr(included, 1, index(included, "/") - 1)
    if (index(allowed, " " target " ") == 0) {
      complain(folder " may not include " target " (" included ")")
    }
  }
  for (name in library) {
    if (index(included, name) == 1 &&
        index(library[name], " " folder " ") == 0) {
      complain(folder " may not include <" included ">")
    }
  }
}

END {
  printf "%d includes checked\n", includes
  exit bad || includes == 0
}'
