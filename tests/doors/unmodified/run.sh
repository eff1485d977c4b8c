#!/bin/bash
# run.sh VENV NAME: NAME_test.py with the clients of a virtual environment, which
# tools/test_long.sh doors makes; skipped without it.
set -euo pipefail
if [ ! -e "$1/installed" ]; then
  echo "skipped: the clients of $1 are not installed (tools/test_long.sh doors installs them)"
  exit 77
fi
exec "$1/bin/python" "$(dirname "$0")/$2_test.py"
