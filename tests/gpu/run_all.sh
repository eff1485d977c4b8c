#!/bin/bash
# run_all.sh [FOLDER]: proves Trireme on this machine's GPUs, from a bundle (tools/bundle.sh), in
# under 9 minutes. FOLDER (results) gets results.json, run_all.log and what the parts write. Clocks
# and other settings of the GPU stay as they are. Exit 0: every part passed or was skipped; 1: one
# failed (the others have run all the same); 77: there is no GPU, and nothing has run.
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
  echo "skipped: run_all.sh needs python3 (its standard library alone), and there is none" >&2
  exit 77
fi
exec "$python" "$TRIREME_BUNDLE/run_all.py" --bundle "$TRIREME_BUNDLE" --out "${1:-results}"
