#!/usr/bin/env bash
# Runs one fuzz target that is built already: tests/fuzz/run.sh TARGET SECONDS [SEED]. Fails on a finding. scripts/fuzz builds
# first. With a seed the same program tries the same inputs in the same order; without one they are new ones every time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=$1 seconds=$2 seed=${3:-0}
program=build/fuzz/${target}_fuzz
[ -x "$program" ] || { echo "fuzz: no target $target; scripts/fuzz --list names them" >&2; exit 2; }

# Found inputs stay in the build tree, and are where the next run goes on from.
folder=build/fuzz/inputs
found=$folder/found/$target findings=build/fuzz/findings
mkdir -p "$found" "$findings"
node tests/fuzz/make-seeds.mjs "$folder/seeds"
seeds=("$folder/seeds/$target")
[ ! -d "tests/fuzz/corpus/$target" ] || seeds+=("tests/fuzz/corpus/$target")
options=(-max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/$target-" -seed="$seed")
# Inputs here are made of whole lines or members; starting with tiny ones would only lose time.
options+=(-len_control=0)
[ ! -e "tests/fuzz/dictionaries/$target.dict" ] || options+=(-dict="tests/fuzz/dictionaries/$target.dict")

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "$program" "${options[@]}" "$found" "${seeds[@]}" >"$log" 2>&1; then
  grep -aE 'PROMISE BROKEN|^seen: |ERROR: |SUMMARY: ' "$log" || tail -n 20 "$log"
  kept=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  echo "fuzz: $target failed; again with:  $program ${kept:-INPUT}"
  # Where the build tree does not outlive the run, the log has the input.
  [ -z "$kept" ] || { echo "the input, base64:"; base64 "$kept"; }
  exit 1
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
edges=$(grep -aoE 'cov: [0-9]+' "$log" | tail -n 1 | cut -d' ' -f2)
echo "fuzz: $target held for $runs inputs, $rate a second, $edges edges"
