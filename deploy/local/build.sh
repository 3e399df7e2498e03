#!/usr/bin/env bash
# Installs what is missing and builds the project into build/PRESET.
#   build.sh PRESET [TARGET...]    PRESET: release, dev, asan or tsan, as in
#                                  CMakePresets.json; without targets, all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

preset=$1
shift
deploy/local/install.sh

# Clones in different folders share what the compiler made.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

# The largest sources take 1 GiB to compile.
jobs=$(awk -v cores="$(nproc)" '/^MemAvailable:/ {
  jobs = int($2 / 1048576)
  print (jobs < 1 ? 1 : jobs < cores ? jobs : cores)
}' /proc/meminfo)

build=build/$preset
if [[ ! $build/build.ninja -nt CMakePresets.json ]]; then
  cmake --preset "$preset"
fi
cmake --build "$build" --parallel "$jobs" ${1:+--target "$@"}
