#!/bin/bash
# start_test.sh BUILD: programs built with TRIREME_CUDA=ON start on a machine without a GPU or a
# driver, and report that. Exit 77 where there is a GPU.
set -euo pipefail
build=${1:?usage: start_test.sh BUILD}
[ ! -e /dev/nvidia0 ] || { echo "skipped: there is a GPU here"; exit 77; }

fail() { echo "FAILED: $*" >&2; exit 1; }
# expect STATUS WORDS PROGRAM ARGUMENTS...
expect() {
  local wanted=$1 words=$2 output status=0
  shift 2
  output=$("$@" 2>&1) || status=$?
  [ "$status" = "$wanted" ] || fail "$*: status $status, not $wanted: $output"
  grep -qF -- "$words" <<<"$output" || fail "$*: does not print \"$words\": $output"
}

! ldd "$build/bin/trireme-worker" | grep -E 'libcuda\.|libcudart' || fail "a driver is linked"
expect 0 "trireme-worker" "$build/bin/trireme-worker" --help
expect 0 '"cuda"' "$build/bin/trireme-worker" --list-devices
expect 2 "TRI-CUDA-002" "$build/bin/trireme-worker" --backend cuda --model models/demo --plans x
expect 77 "no CUDA device" "$build/bin/trireme-cuda-bench"
expect 77 "" "$build/tests/norm_test" --gtest_filter='*cuda*' --gtest_output=
"$build/bin/trireme" doctor --json >"$build/doctor.json" || true
grep -q '"subject":"GPU' "$build/doctor.json" || fail "doctor says nothing of GPUs"
echo "passed"
