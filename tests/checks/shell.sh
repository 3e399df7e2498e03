#!/usr/bin/env bash
# Checks every shell script with shellcheck.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require shellcheck shellcheck

mapfile -t scripts < <(project_files . |
  xargs -d '\n' grep -lE '^(#!.*\bbash|# shellcheck shell=)')
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
echo "${#scripts[@]} shell scripts are clean"
