#!/usr/bin/env bash
# Measures the service on a database of its own, beside pgbench and an empty
# call in turns, and writes the results, tables and charts to FOLDER. Traffic
# stays on loopback; needs 10 GB of disk and a quarter of an hour.
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
command -v gnuplot >/dev/null || deploy/local/install.sh gnuplot-nox

mkdir -p "$folder"
python3 tests/bench/measure.py "${quick[@]}" --bin build/release/bin \
  --results "$folder/results.jsonl"
python3 tests/bench/report.py "$folder/results.jsonl" "$folder"
