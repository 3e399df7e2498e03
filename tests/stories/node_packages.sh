#!/usr/bin/env bash
# Puts what the example bots in Node need into a folder, and the package itself,
# packed as npm would publish it. 77 if npm does not reach its registry.
#   node_packages.sh FOLDER
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$1
mkdir -p "$folder"

# One at a time: several tests want it, and the package is packed in its place.
exec 9>"$folder.lock"
flock 9

command -v npm >/dev/null || "$root/deploy/local/install.sh" npm

# What npm brought is kept from run to run, as other tools are.
wanted=$root/client/examples/node/package.json
if ! cmp -s "$wanted" "$folder/package.json"; then
  npm ping --fetch-retries=0 >&2 || exit 77
  cp "$wanted" "$folder/package.json.new"
  rm -rf "$folder/node_modules"
  mv "$folder/package.json.new" "$folder/package.json"
  npm install --prefix "$folder" --no-package-lock --no-audit --no-fund \
    --loglevel=error >&2 || {
    rm "$folder/package.json"
    exit 1
  }
fi

# Not by npm install, which would ask the registry for everything again.
archive=$folder/$(NODE_PATH=$folder/node_modules npm pack --silent --pack-destination "$folder" \
  "$root/client/node")
rm -rf "$folder/node_modules/userprofile"
mkdir "$folder/node_modules/userprofile"
tar -xzf "$archive" -C "$folder/node_modules/userprofile" --strip-components 1
cp "$root"/client/examples/node/*.js "$folder"
