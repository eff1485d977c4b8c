#!/bin/sh
# mpirun_local.sh N PROGRAM ARGUMENTS...: N ranks on this machine, with what a small one needs:
# more ranks than cores, no pinning, no cross-memory attach (containers forbid it), loopback and
# shared memory only, a short temporary folder (paths of local sockets are limited to 107 bytes).
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
# The other store of PMIx locks files in a way that some containers' file systems refuse.
export PMIX_MCA_gds=hash

# Yielding keeps ranks that wait in MPI's own start and end from starving the others.
# The isolated launcher opens no remote shell; loopback is the only network that is needed.
exec mpirun -np "$ranks" --oversubscribe --bind-to none \
  --mca plm isolated \
  --mca oob_tcp_if_include lo \
  --mca btl self,vader \
  --mca btl_vader_single_copy_mechanism none \
  --mca mpi_yield_when_idle 1 \
  "$@"
