#!/usr/bin/env bash
# Runs clang-tidy, and clang's thread-safety analysis, as .clang-tidy says.
#   tidy.sh [FILE...]    without files: every source but the tests, to save
#                        time, and the examples, which are other projects
#
# A source that was tidy is looked at again when it, anything that it includes,
# or the checks changed: ~/.cache/userprofile/tidy remembers (XDG_CACHE_HOME).
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require clang-tidy-14 clang-tidy-14
require clang++-14 clang-14
require jq jq

# Generated headers must be there, and the commands that compile each source.
deploy/local/build.sh dev
build=build/dev

# What clang-tidy says of a source depends on: the tool, the checks, the flags,
# and the source with all that it includes, as clang sees it (g++ sees nothing of
# thread-safety annotations), macros and comments (NOLINT) too.
#   fingerprint FILE
fingerprint() {
  local preprocess
  preprocess=$(jq --raw-output --arg file "$PWD/$1" '
    first(.[] | select(.file == $file)).command
    | sub("^[^ ]+"; "clang++-14")
    | sub(" -o [^ ]+ -c "; " -w -E -P -C -dD ")' "$build/compile_commands.json")
  if [[ -z $preprocess ]]; then
    echo "$1 is not compiled in $build" >&2
    return 1
  fi
  {
    clang-tidy-14 --version
    cat .clang-tidy tests/checks/tidy.sh
    echo "$preprocess"
    eval "$preprocess"
  } | sed "s|$PWD|.|g" | sha256sum | cut --delimiter=' ' --fields=1
}

#   tidy FILE
tidy() {
  local known
  known=$cache/$(fingerprint "$1")
  if [[ -f $known ]]; then
    touch "$known"
    return
  fi
  clang-tidy-14 -p "$build" --quiet --extra-arg=-Wthread-safety "$1" \
    2> >(grep -v 'warnings generated' >&2)
  touch "$known"
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/userprofile/tidy
mkdir -p "$cache"
find "$cache" -type f -mtime +30 -delete

sources=("$@")
if ((${#sources[@]} == 0)); then
  mapfile -t sources < <(project_files '*.cc' ':!*_test.cc' ':!tests/' \
    ':!client/examples/')
fi
export build cache
export -f fingerprint tidy
# shellcheck disable=SC2016 # $1 is the inner shell's
printf '%s\n' "${sources[@]}" |
  xargs --max-procs "$(nproc)" --max-args 1 \
    bash -euo pipefail -c 'tidy "$1"' tidy
echo "${#sources[@]} sources are tidy"
