#!/usr/bin/env bash
# Measures the service on a database of its own, beside pgbench and an empty
# call in turns, and writes the results, tables and charts to FOLDER. Traffic
# stays on loopback; needs up to 20 GB of disk and twenty minutes.
#   run.sh [--quick | --rounds N] [FOLDER]     FOLDER: build/bench unless given
# --quick takes four minutes and a small table, to see that all works. Medians
# are of 5 rounds, unless told otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

options=()
case ${1:-} in
  --quick)
    options=(--quick)
    shift
    ;;
  --rounds)
    options=(--rounds "$2")
    shift 2
    ;;
esac
folder=${1:-build/bench}

deploy/local/build.sh release userprofile-server userprofile-bench
command -v gnuplot >/dev/null || deploy/local/install.sh gnuplot-nox

mkdir -p "$folder"
python3 tests/bench/measure.py "${options[@]}" --bin build/release/bin \
  --results "$folder/results.jsonl"
python3 tests/bench/report.py "$folder/results.jsonl" "$folder"
