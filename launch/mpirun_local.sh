#!/bin/sh
# mpirun_local.sh N PROGRAM ARGUMENTS...: runs N ranks on this machine. The options are those of
# launch/command_lines.cc, which explains them; a test compares the two.
set -eu

if [ $# -lt 2 ]; then
  echo "usage: mpirun_local.sh N PROGRAM ARGUMENTS..." >&2
  exit 2
fi
if ! command -v mpirun >/dev/null 2>&1; then
  echo "mpirun is missing; install it: apt-get install openmpi-bin libopenmpi-dev" >&2
  exit 3
fi
ranks=$1
shift

if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if [ "$(printf %s "${TMPDIR:-/tmp}" | wc -c)" -gt 40 ]; then
  export TMPDIR=/tmp
fi
export PMIX_MCA_gds=hash

exec mpirun -np "$ranks" --bind-to none --mca btl_vader_single_copy_mechanism none \
  --mca mpi_yield_when_idle 1 --oversubscribe --mca plm isolated \
  --mca oob_tcp_if_include lo --mca btl self,vader \
  "$@"
