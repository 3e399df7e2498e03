#!/usr/bin/env bash
# Checks the systemd unit: that it is one, and that it keeps to itself.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! command -v systemd-analyze >/dev/null; then
  echo "skipped: there is no systemd here"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unit=deploy/systemd/userprofile.service

# The program need not be installed where the unit looks for it.
sed 's|/usr/local/bin/userprofile-server|/bin/true|' "$unit" \
  >"$folder/userprofile.service"
if ! said=$(systemd-analyze verify "$folder/userprofile.service" 2>&1) ||
  [[ -n $said ]]; then
  echo "$said"
  exit 1
fi

# By default systemd gives up after five starts in ten seconds.
if ! grep -qx 'StartLimitIntervalSec=0' "$unit"; then
  echo "$unit: Restart=always ends after five failures"
  exit 1
fi

# From 0 (can do nothing) to 100.
if ! systemd-analyze security --offline=true --threshold=15 --no-pager \
  "$folder/userprofile.service" >"$folder/report"; then
  cat "$folder/report"
  exit 1
fi
tail -n 1 "$folder/report"
