#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test, or those with a label.
# Those with the label ha, which make a database cluster fail for minutes, run
# only if they are asked for.
#   run.sh [--preset dev|asan|tsan|release] [--label LABEL] [CTEST ARGUMENTS...]
# Example: tests/run.sh --preset tsan --label store
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
arguments=("$@")

preset=dev
packages=
targets=()
select=(--label-exclude '^ha$')
while (($# >= 2)); do
  case $1 in
    --preset) preset=$2 ;;
    --label)
      targets=("tests_$2")
      packages=deploy/local/packages-$2.txt
      select=(--label-regex "^$2\$")
      ;;
    *) break ;;
  esac
  shift 2
done

# ThreadSanitizer of g++ 12 and 13 can't start where the kernel puts programs
# at addresses of more than 28 random bits.
if [[ $preset == tsan && -z ${USERPROFILE_FIXED_ADDRESSES:-} ]] &&
  (($(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0) > 28)); then
  export USERPROFILE_FIXED_ADDRESSES=1
  exec setarch "$(uname -m)" --addr-no-randomize tests/run.sh "${arguments[@]}"
fi

if [[ -e $packages ]]; then
  mapfile -t more < <(grep -v '^#' "$packages")
  deploy/local/install.sh "${more[@]}" ||
    echo "Tests that need these packages are skipped." >&2
fi
deploy/local/build.sh "$preset" "${targets[@]}"

# Databases of a second's life need no disk, where memory has room for them.
room=$({
  df --output=avail /dev/shm | tail -n 1
  awk '/^MemAvailable:/ { print $2 }' /proc/meminfo
} 2>/dev/null | sort -n | head -n 1)
if [[ -z ${TMPDIR:-} && -w /dev/shm ]] && ((room > 6 * 1024 * 1024)); then
  export TMPDIR=/dev/shm
fi

# Most tests wait for something most of the time.
exec ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
  --parallel "$((2 * $(nproc)))" "${select[@]}" "$@"
