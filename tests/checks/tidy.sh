#!/usr/bin/env bash
# Runs clang-tidy, and clang's thread-safety analysis, as .clang-tidy says.
#   tidy.sh [FILE...]    without files: every source but the tests, to save
#                        time, and the examples, which are other projects
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require clang-tidy-14 clang-tidy-14

# Generated headers must be there, and the commands that compile each source.
deploy/local/build.sh dev

sources=("$@")
if ((${#sources[@]} == 0)); then
  mapfile -t sources < <(project_files '*.cc' ':!*_test.cc' ':!tests/' \
    ':!client/examples/')
fi
printf '%s\n' "${sources[@]}" |
  xargs --max-procs "$(nproc)" --max-args 1 \
    clang-tidy-14 -p build/dev --quiet --extra-arg=-Wthread-safety \
    2> >(grep -v 'warnings generated' >&2)
echo "${#sources[@]} sources are tidy"
