#!/usr/bin/env bash
# Lints the API with buf.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require npm npm

# Into the build folder, and by its exact version; a lock file would have to
# name packages for systems that some registries do not carry.
version=1.75.0
tools=build/tools/buf-$version
buf=$tools/node_modules/.bin/buf
if ! "$buf" --version >/dev/null 2>&1; then
  npm install --prefix "$tools" --no-save --no-package-lock --no-audit \
    --no-fund --loglevel=error "@bufbuild/buf@$version"
fi
"$buf" lint proto
echo "buf $("$buf" --version) finds no fault in proto/"
