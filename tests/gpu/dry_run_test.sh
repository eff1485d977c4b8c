#!/bin/bash
# dry_run_test.sh BUILD: run_all.sh --profile --dry-run over the emulated programs of a build
# reaches all of its parts, and writes its files, which are few and small.
set -euo pipefail
build=$(realpath "${1:?usage: dry_run_test.sh BUILD}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAILED: $*" >&2; cat "$folder/words" >&2; exit 1; }

begin=$SECONDS
status=0
timeout 280 tests/gpu/run_all.sh --dry-run "$build" --profile "$folder/results" \
  >"$folder/words" 2>&1 || status=$?
[ "$status" != 77 ] || { cat "$folder/words"; exit 77; }
[ "$status" = 0 ] || fail "status $status"

grep -qE '^budget: .* = [0-9]+ of 530 s$' "$folder/words" || fail "no budget is printed"
for part in probe read ops_short benches step timeline counters torch verify invariant sanitizer \
  serve; do
  grep -qE "^$part: (passed|stub), " "$folder/words" || fail "$part did not pass"
done
for part in timeline counters torch; do
  grep -qE "^$part: stub, " "$folder/words" || fail "$part does not say that it is a stub"
done
[ "$(find "$folder/results" -type f | wc -l)" -le 8 ] || fail "more than 8 files"
for file in results.json run_all.log clocks.csv kernels_step.csv.gz kernels_tp2.csv.gz ncu.csv \
  torch.json; do
  [ -s "$folder/results/$file" ] || fail "$file is missing or empty"
done
tail -n 1 "$folder/words"
echo "passed: $((SECONDS - begin)) s"
