#!/usr/bin/env bash
# Lints the API with buf.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require npm npm

tools=tests/checks
if [[ ! $tools/node_modules/.package-lock.json -nt $tools/package-lock.json ]]
then
  npm ci --prefix "$tools" --no-audit --no-fund --loglevel=error
fi
"$tools/node_modules/.bin/buf" lint proto
echo "buf $("$tools/node_modules/.bin/buf" --version) finds no fault in proto/"
