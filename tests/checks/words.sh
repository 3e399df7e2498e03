#!/usr/bin/env bash
# Looks for what no file of the project should hold: paths of one machine,
# addresses of a package registry, and notes to finish something later.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

unwanted='/(work|root|home/[a-z]+)/|"resolved":|\b(TODO|FIXME|XXX)\b'
if project_files . ':!tests/checks/words.sh' |
  xargs -d '\n' grep -nIE "$unwanted"; then
  exit 1
fi
echo "no file holds what it should not"
