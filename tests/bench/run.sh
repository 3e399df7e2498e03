#!/usr/bin/env bash
# Measures the service on a database of its own, beside pgbench and an empty
# call in turns, and writes the results, tables and charts to FOLDER. Traffic
# stays on loopback; needs 10 GB of disk and the better part of an hour.
#   run.sh [--quick] [FOLDER]     FOLDER: build/bench unless given
# --quick takes minutes and a small table: to see that all still works.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

quick=()
if [[ ${1:-} == --quick ]]; then
  quick=(--quick)
  shift
fi
folder=${1:-build/bench}

deploy/local/build.sh release userprofile-server userprofile-bench
missing=()
for tool in python3:python3-minimal gnuplot:gnuplot-nox; do
  command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
done
if ((${#missing[@]})); then
  as_root=()
  if ((EUID != 0)); then as_root=(sudo); fi
  "${as_root[@]}" apt-get install --yes --no-install-recommends "${missing[@]}"
fi

mkdir -p "$folder"
python3 tests/bench/measure.py "${quick[@]}" --bin build/release/bin \
  --results "$folder/results.jsonl"
python3 tests/bench/report.py "$folder/results.jsonl" "$folder"
