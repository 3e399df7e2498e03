#!/usr/bin/env bash
# Brings buf from npm, where it is not there, and prints its path.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require npm npm >&2

# Into the build folder, and by its exact version; a lock file would have to
# name packages for systems that some registries do not carry.
version=1.75.0
tools=$PWD/build/tools/buf-$version
buf=$tools/node_modules/.bin/buf
if ! "$buf" --version >/dev/null 2>&1; then
  npm install --prefix "$tools" --no-save --no-package-lock --no-audit \
    --no-fund --loglevel=error "@bufbuild/buf@$version" >&2
fi
echo "$buf"
