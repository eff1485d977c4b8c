#!/bin/bash
# run_all.sh [--profile] [FOLDER]: tests and measures Trireme on this machine's GPUs, from a bundle
# (tools/bundle.sh), in under 9 minutes. Without --profile it tests: every op, every golden at
# every tp x pp. With it, it measures, and tests in short: the first call on a new machine. Writes
# results.json, run_all.log and at most six other files to FOLDER (default: results). Changes no
# clocks or other settings of the GPU. Exit 0: no part failed (parts can be skipped or not
# reached); 1: a part failed (the others still ran); 77: no GPU, nothing has run.
#
# run_all.sh --dry-run BUILD --profile [FOLDER]: the same on the emulated device of a build
# without CUDA, with stubs for what only a GPU has; checks the files that come back.
set -uo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
build=
flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --profile) flags+=(--profile) ;;
    --dry-run)
      build=$(realpath "${2:?run_all.sh: --dry-run needs the folder of a build}")
      flags+=(--dry-run)
      shift ;;
    -*) echo "run_all.sh: $1 is no flag of it" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
out=${1:-results}
if [ $# -gt 1 ]; then
  echo "run_all.sh: one folder, after the flags: $*" >&2
  exit 2
fi
if [ -n "$build" ] && [[ " ${flags[*]} " != *" --profile "* ]]; then
  echo "run_all.sh: --dry-run needs --profile: the emulation is too slow for all ops" >&2
  exit 2
fi

if [ -n "$build" ]; then
  TRIREME_BUNDLE=$(mktemp -d)
  trap 'rm -rf "$TRIREME_BUNDLE"' EXIT
  "$here/dry_run/stage.sh" "$build" "$TRIREME_BUNDLE" || exit
  PATH=$here/dry_run:$PATH
  TRIREME_FOUND="stub: a dry run over the emulation"
  export PATH TRIREME_FOUND
else
  TRIREME_BUNDLE=$here
  if [ ! -e "$TRIREME_BUNDLE/environment.sh" ]; then
    echo "run_all.sh: this is not a bundle; make one: tools/bundle.sh" >&2
    exit 2
  fi
  . "$TRIREME_BUNDLE/environment.sh"
fi
printf '%s\n' "$TRIREME_FOUND"
python=${TRIREME_PYTHON:-$(command -v python3)}
if [ -z "$python" ]; then
  echo "skipped: run_all.sh needs python3 (the standard library suffices), which was not found" >&2
  exit 77
fi
command=("$python" "$here/run_all.py" --bundle "$TRIREME_BUNDLE" --out "$out" "${flags[@]}")
[ -n "$build" ] || exec "${command[@]}"  # a dry run comes back for its trap
"${command[@]}"
