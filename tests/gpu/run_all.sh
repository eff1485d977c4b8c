#!/bin/bash
# run_all.sh [FOLDER]: tests and measures Trireme on this machine's GPUs, from a bundle
# (tools/bundle.sh), in under 9 minutes. Writes results.json, run_all.log and the files of the parts
# to FOLDER (default: results). Changes no clocks or other settings of the GPU. Exit 0: every part
# passed or was skipped; 1: a part failed (the others still ran); 77: no GPU, nothing has run.
set -uo pipefail
TRIREME_BUNDLE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
if [ ! -e "$TRIREME_BUNDLE/environment.sh" ]; then
  echo "run_all.sh: this is not a bundle; make one: tools/bundle.sh" >&2
  exit 2
fi
. "$TRIREME_BUNDLE/environment.sh"
printf '%s\n' "$TRIREME_FOUND"
python=${TRIREME_PYTHON:-$(command -v python3)}
if [ -z "$python" ]; then
  echo "skipped: run_all.sh needs python3 (the standard library suffices), which was not found" >&2
  exit 77
fi
exec "$python" "$TRIREME_BUNDLE/run_all.py" --bundle "$TRIREME_BUNDLE" --out "${1:-results}"
