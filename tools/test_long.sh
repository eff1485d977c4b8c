#!/bin/bash
# The slow checks: sanitizers, the long tests, clang-tidy and the CUDA build. Each part has a limit
# for two cores; the limits add up to 65 minutes.
# `test_long.sh asan long` runs only these parts. Ends with `N passed, N failed, N skipped`; exit 1
# if anything failed or nothing ran.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/build.sh

parts=("$@")
[ $# -gt 0 ] || parts=(asan tsan long doors lint cuda)
totals=${TRIREME_TEST_TOTALS:-build/test-totals-long.txt}
mkdir -p "$(dirname "$totals")"
[ -n "${TRIREME_TEST_TOTALS:-}" ] || rm -f "$totals"

# A part that ends before its tests are counted is one failure.
lost() {
  echo "FAILED $1: $2"
  echo "0 1 0 $1" >>"$totals"
}

# run_tests PART FOLDER SECONDS CTEST-OPTION...
run_tests() {
  local part=$1 folder=$2 seconds=$3
  shift 3
  local results=$folder/test-results
  rm -rf "$results"
  mkdir -p "$results"
  timeout --kill-after=30 "$seconds" ctest --test-dir "$folder" --parallel "$(nproc)" \
    --output-on-failure --output-junit "$PWD/$results/entries.junit" "$@"
  python3 tools/count_tests.py --name "$part" --totals "$totals" "$results"
}

# sanitized PART SANITIZER BUILD-SECONDS TEST-SECONDS "TARGETS" CTEST-OPTION...
sanitized() {
  local part=$1 sanitizer=$2 build_seconds=$3 test_seconds=$4 targets=$5
  shift 5
  configure "build-$part" -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" \
    -DTRIREME_SANITIZE="$sanitizer" -DTRIREME_BUILD_TESTS=ON >/dev/null ||
    { lost "$part" "cannot be configured"; return; }
  export -f build build_jobs
  timeout --kill-after=30 "$build_seconds" bash -c 'build "$@"' _ "build-$part" $targets ||
    { lost "$part" "the build failed or took more than $build_seconds s"; return; }
  run_tests "$part" "build-$part" "$test_seconds" "$@"
}

part_asan() {
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
  export UBSAN_OPTIONS=print_stacktrace=1
  # Not the scripts, nor rounding of sums by truncation, which makes the same accesses to memory.
  sanitized asan address 1200 540 single_process_tests \
    --label-exclude '^(cluster|long|doors)$' --exclude-regex '^(tools|gpu)/|\.truncate$'
}

# Only code without libmpi and libzmq, which are not instrumented and give false reports.
part_tsan() {
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
  sanitized tsan thread 300 120 "base_tests coordinator_tests simulation_tests" \
    --label-exclude '^(cluster|long|doors)$' --tests-regex '^(base|coordinator|simulation)/' \
    --exclude-regex zmq
}

# The benchmarks are built here, so that they keep compiling.
part_long() {
  configure build -DCMAKE_BUILD_TYPE=Release -DTRIREME_BUILD_TESTS=ON \
    -DTRIREME_BUILD_BENCHMARKS=ON >/dev/null && build build all long_programs benchmarks ||
    { lost long "the build failed"; return; }
  run_tests long build 540 --label-regex '^long$'
}

# install_clients GENERATION SECONDS: requirements_GENERATION.txt in a virtual environment; 1 where
# PyPI cannot be had.
install_clients() {
  local place=$PWD/build/doors-$1 wanted=tests/doors/unmodified/requirements_$1.txt
  cmp -s "$wanted" "$place/installed" && return
  rm -rf "$place"
  python3 -m venv "$place" &&
    timeout "$2" "$place/bin/pip" install -q --disable-pip-version-check --no-compile \
      -r "$wanted" && cp "$wanted" "$place/installed"
}

# Unmodified clients from PyPI, and waits of minutes, against the doors with a scripted rank.
part_doors() {
  configure build -DCMAKE_BUILD_TYPE=Release -DTRIREME_BUILD_TESTS=ON >/dev/null &&
    build build door_programs || { lost doors "the build failed"; return; }
  install_clients newest 100 || echo "doors: the newest clients cannot be had from PyPI"
  install_clients older 40 || echo "doors: the older clients cannot be had from PyPI"
  run_tests doors build 180 --label-regex '^doors$'
}

# In a folder of its own: clang cannot read the precompiled headers of g++, and each file is checked
# with the headers that it includes itself.
part_lint() {
  configure build-lint -DTRIREME_BUILD_TESTS=ON -DTRIREME_PRECOMPILED_HEADERS=OFF \
    -DTRIREME_UNITY_BUILD=OFF >/dev/null &&
    build build-lint trireme_messages || { lost lint "the build failed"; return; }
  python3 tools/lint.py --build build-lint --no-analyzer --seconds 170 --totals "$totals"
}

# Prints a Python environment with cuobjdump and nvdisasm, which a toolkit may lack; nothing where
# the machine has them or they cannot be installed.
disassembler_environment() {
  local place=$PWD/build/disassembler
  python3 tools/cuda_loops.py && { echo "${VIRTUAL_ENV:-}"; return; }
  if ! VIRTUAL_ENV=$place python3 tools/cuda_loops.py; then
    rm -rf "$place"
    python3 -m venv "$place" >&2 &&
      timeout 90 "$place/bin/pip" install -q --disable-pip-version-check \
        nvidia-cuda-cuobjdump~=13.0 nvidia-cuda-nvdisasm~=13.0 >&2 || return
  fi
  echo "$place"
}

# The programs and the op tests with the CUDA backend, for two architectures; the budgets of the
# kernels and of their hot loops; a check that the programs start on a machine without a driver.
# In the folder of the other parts, which has most libraries; afterwards it is as it was.
# TRIREME_NVCC names a compiler that is not in PATH.
part_cuda() {
  local nvcc=${TRIREME_NVCC:-$(command -v nvcc)}
  if [ -z "$nvcc" ]; then
    echo "skipped cuda: no nvcc is installed here (CUDA Toolkit 13)"
    echo "0 0 1 cuda" >>"$totals"
    return
  fi
  configure build -DCMAKE_BUILD_TYPE=Release -DTRIREME_CUDA=ON -DTRIREME_BUILD_TESTS=ON \
    -DTRIREME_WERROR="$(warnings_as_errors)" -DCMAKE_CUDA_COMPILER="$nvcc" >/dev/null ||
    { lost cuda "cannot be configured"; return; }
  cuda_checks "$nvcc"
  configure build -DTRIREME_CUDA=OFF >/dev/null || lost cuda "the folder cannot be set back"
}

cuda_checks() {
  export -f build build_jobs
  timeout --kill-after=30 500 bash -c 'build "$@"' _ build gpu_programs ||
    { lost cuda "the build failed or took more than 500 s"; return; }
  TRIREME_NVCC=$1 VIRTUAL_ENV=$(disassembler_environment) \
    timeout 120 python3 tools/cuda_budget.py build --totals "$totals"
  grep -q ' cuda loops$' "$totals" || lost cuda "the budgets were not all checked"
  run_tests cuda build 90 --tests-regex '^cuda/'
}

install_missing long || lost packages "not all are there"
for part in "${parts[@]}"; do
  echo "test_long.sh: $part"
  begin=$SECONDS
  "part_$part"
  echo "test_long.sh: $part took $((SECONDS - begin)) s"
done
python3 tools/count_tests.py --name "${TRIREME_TEST_NAME:-}" --sum "$totals"
