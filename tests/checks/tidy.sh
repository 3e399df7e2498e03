#!/usr/bin/env bash
# Runs clang-tidy, and clang's thread-safety analysis, as .clang-tidy says.
#   tidy.sh [FILE...]    without files: every source but the tests, to save
#                        time, and the examples, which are other projects
#
# The sources that are compiled together are looked at together, which takes a
# seventh of the time; of what was tidy, only those that something was changed
# in (themselves, what they include, the checks): ~/.cache/userprofile/tidy
# remembers (XDG_CACHE_HOME).
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require clang-tidy-14 clang-tidy-14
require clang++-14 clang-14
require jq jq

# Generated headers must be there, and the commands that compile each source.
deploy/local/build.sh dev
build=build/dev

# What is compiled at once: a file that includes sources of a target, or a
# source alone, as tests are. With files, those that they are in.
#   units [FILE...]
units() {
  local all file
  mapfile -t all < <(jq --raw-output '.[].file' "$build/compile_commands.json" |
    sort --unique)
  if (($# == 0)); then
    printf '%s\n' "${all[@]}" | grep --extended-regexp --invert-match \
      "_test\.cc$|^$PWD/tests/|^$PWD/$build/(proto|tests)/"
  fi
  for file in "${@/#/$PWD/}"; do
    printf '%s\n' "${all[@]}" | grep --line-regexp --fixed-strings "$file" ||
      grep --files-with-matches --fixed-strings "\"$file\"" "${all[@]}" || {
      echo "$file is not compiled in $build" >&2
      return 1
    }
  done | sort --unique
}

# What clang-tidy says of a unit depends on: the tool, the checks, the flags,
# and the sources with all that they include, as clang sees it (g++ sees nothing
# of thread-safety annotations), macros and comments (NOLINT) too.
#   fingerprint UNIT
fingerprint() {
  local preprocess
  preprocess=$(jq --raw-output --arg file "$1" '
    first(.[] | select(.file == $file)).command
    | sub("^[^ ]+"; "clang++-14")
    | sub(" -o [^ ]+ -c "; " -w -E -P -C -dD ")' "$build/compile_commands.json")
  {
    clang-tidy-14 --version
    cat .clang-tidy tests/checks/tidy.sh
    echo "$preprocess"
    eval "$preprocess"
  } | sed "s|$PWD|.|g" | sha256sum | cut --delimiter=' ' --fields=1
}

#   tidy UNIT
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

units=$(units "$@")
export build cache
export -f fingerprint tidy
# shellcheck disable=SC2016 # $1 is the inner shell's
xargs <<<"$units" --max-procs "$(nproc)" --max-args 1 \
    bash -euo pipefail -c 'tidy "$1"' tidy
echo "$(wc --lines <<<"$units") units are tidy"
