#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#   run.sh [--preset dev|asan|tsan|release] [CTEST ARGUMENTS...]
# Example: tests/run.sh --preset tsan -L store
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=dev
if [[ ${1:-} == --preset && $# -ge 2 ]]; then
  preset=$2
  shift 2
fi

# ThreadSanitizer of g++ 12 and 13 can't start where the kernel puts programs
# at addresses of more than 28 random bits.
if [[ $preset == tsan && -z ${USERPROFILE_FIXED_ADDRESSES:-} ]] &&
  (($(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0) > 28)); then
  export USERPROFILE_FIXED_ADDRESSES=1
  exec setarch "$(uname -m)" --addr-no-randomize \
    tests/run.sh --preset "$preset" "$@"
fi

deploy/local/build.sh "$preset"
exec ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
  --parallel "$(nproc)" "$@"
