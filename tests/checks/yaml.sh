#!/usr/bin/env bash
# Lints every YAML file with yamllint, as .yamllint says.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require yamllint yamllint

mapfile -t files < <(project_files '*.yaml' '*.yml')
yamllint --strict "${files[@]}"
echo "${#files[@]} YAML files are clean"
