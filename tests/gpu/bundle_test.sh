#!/bin/bash
# bundle_test.sh BUILD: a bundle fits into 64 MiB with the repository and runs from another
# folder, with an empty environment and, where mount namespaces can be created, without this
# machine's Open MPI and CUDA: a cluster of four CPU ranks answers, doctor runs, op tests and
# run_all.sh report that they skip.
set -euo pipefail
build=$(realpath "${1:?usage: bundle_test.sh BUILD}")
[ -x "$build/bin/trireme-cuda-bench" ] || { echo "skipped: gpu_programs is not built"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
TRIREME_BUNDLE_PRESET=1 tools/bundle.sh "$build" "$folder/bundle.tar.xz"
mkdir "$folder/some where"
python3 -m tarfile -e "$folder/bundle.tar.xz" "$folder/some where"  # as without xz
bundle="$folder/some where/trireme-bundle"

# Hides everything that a plain machine does not have behind empty folders.
hide='for place in /usr/lib/x86_64-linux-gnu/openmpi /usr/lib/x86_64-linux-gnu/pmix2 \
  /usr/share/openmpi /etc/openmpi /usr/local; do
  [ ! -d "$place" ] || mount -t tmpfs none "$place"
done
for library in /usr/lib/x86_64-linux-gnu/lib{mpi,open-pal,open-rte,zmq,protobuf,absl_base}.so*; do
  [ ! -f "$library" ] || mount --bind /dev/null "$library"
done
exec env -i HOME=/ PATH=/usr/bin:/bin "$@"'
hides=0
if unshare --mount true 2>/dev/null; then
  hides=1
  plain() { unshare --mount bash -c "$hide" _ "$@"; }
else
  echo "mount namespaces cannot be made here: only the environment is empty"
  plain() { env -i HOME=/ PATH=/usr/bin:/bin "$@"; }
fi
# expect STATUS WORDS PROGRAM ARGUMENTS...
expect() {
  local wanted=$1 words=$2 output status=0
  shift 2
  output=$(cd / && plain timeout 100 "$@" 2>&1) || status=$?
  [ "$status" = "$wanted" ] || fail "$*: status $status, not $wanted: $output"
  grep -qF -- "$words" <<<"$output" || fail "$*: does not print \"$words\": $output"
}

plain "$bundle/with_bundle.sh" ldd "$bundle/bin/trireme-worker" "$bundle/bin/mpirun" >"$folder/ldd"
! grep "not found" "$folder/ldd" || fail "libraries are missing"
expect 0 "libcublasLt.so.13: " sh "$bundle/environment.sh"
if [ $hides = 1 ]; then  # only a Python environment has the library
  site="$folder/venv/lib/python3.11/site-packages/nvidia/nccl/lib"
  mkdir -p "$site" && touch "$site/libnccl.so.2"
  expect 0 "libnccl.so.2: $site/libnccl.so.2" env VIRTUAL_ENV="$folder/venv" \
    sh "$bundle/environment.sh"
fi
expect 0 "" "$bundle/trireme" run --model "$bundle/models/demo" -tp 2 -pp 2 --backend cpu \
  --prompt "fn main() {" --max-tokens 8 --temperature 0
expect 0 "passed" "$bundle/trireme" verify --backend cpu -tp 2 \
  --model "$bundle/tests/data/golden/models/llama-gqa"
expect 0 "worker" "$bundle/trireme" doctor
expect 0 "PASSED" "$bundle/with_bundle.sh" "$bundle/tests/draw_test" --gtest_brief=0
if [ ! -e /dev/nvidia0 ]; then
  expect 77 "" "$bundle/with_bundle.sh" "$bundle/tests/norm_test" --gtest_filter='*cuda*'
  expect 77 "skipped: " "$bundle/run_all.sh" "$folder/results"
  expect 77 "budget: probe " "$bundle/run_all.sh" --profile "$folder/results"
fi
echo "passed: $(du -m "$folder/bundle.tar.xz" | cut -f1) MiB"
