#!/bin/bash
# Runs PROGRAM as N ranks on this machine, however few cores it has: mpirun_local.sh N PROGRAM ARGS...
set -eu
if [ $# -lt 2 ]; then
  echo "usage: mpirun_local.sh N PROGRAM [ARGS...]" >&2
  exit 2
fi
ranks=$1
shift
if ! command -v mpirun > /dev/null; then
  echo "mpirun is not installed; install openmpi-bin" >&2
  exit 3
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Containers often forbid one process to read another's memory; ranks waiting in MPI's own start
# and end must not starve the others.
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl_sm_use_cma=0
export OMPI_MCA_mpi_yield_when_idle=1
exec mpirun --oversubscribe --bind-to none -np "$ranks" "$@"
