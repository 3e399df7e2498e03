#!/usr/bin/env bash
# Lints the API with buf, and compares it with the one before: with that of
# origin's main, or where this is main, with the one before its last change.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
buf=$(tests/checks/buf.sh) || exit
"$buf" lint proto

before=$(git merge-base HEAD origin/main 2>/dev/null || true)
if [[ -z $before || $before == "$(git rev-parse HEAD)" ]]; then
  before=$(git log -1 --format=%H -- proto)~1
fi
if git rev-parse --verify --quiet "$before^{commit}" >/dev/null; then
  old=$(mktemp -d)
  trap 'rm -rf "$old"' EXIT
  git archive "$before" proto | tar -x -C "$old"
  "$buf" breaking proto --against "$old/proto"
else
  echo "SKIPPED: buf breaking: this clone does not have the API of before"
fi
echo "buf $("$buf" --version) finds no fault in proto/"
