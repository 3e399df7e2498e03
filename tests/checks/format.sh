#!/usr/bin/env bash
# Formats the C++ sources in place; fails if that changed any. Versions of
# clang-format differ in taste, so it is this one everywhere.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require clang-format-14 clang-format-14

mapfile -t sources < <(project_files '*.h' '*.cc')
if ! clang-format-14 --dry-run --Werror "${sources[@]}"; then
  clang-format-14 -i "${sources[@]}"
  echo "formatted anew: see git diff"
  exit 1
fi
echo "${#sources[@]} sources are formatted"
