#!/bin/sh
# with_bundle.sh PROGRAM ARGUMENTS...: runs a program of this bundle with what it needs, from any
# folder: `with_bundle.sh trireme doctor`.
TRIREME_BUNDLE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$TRIREME_BUNDLE/environment.sh"
trireme_run "$@"
