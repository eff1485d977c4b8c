#!/bin/sh
# mpirun_local.sh N PROGRAM ARGUMENTS...: runs N ranks on this machine. The options are those of
# launch/command_lines/mpirun_options.cc, which explains them; a test compares the two.
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

# Variables of a batch system or of an outer mpirun describe where another launch has its processes.
# The prefixes of launch/process/inherited_environment.cc.
batch='SLURM|LSB_|LSF_|PBS_|SGE_|FLUX_|PALS_|ALPS_'
outer='PMIX_|PMI_|PMI2_|PRTE_|OMPI_COMM_WORLD_|OMPI_UNIVERSE_'
for name in $(env | sed -n -E "s/^(($batch|$outer)[A-Za-z0-9_]*)=.*/\1/p"); do
  unset "$name"
done
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
folder=${TMPDIR:-/tmp}
if [ -n "${TMPDIR+set}" ]; then
  [ "$(printf %s "$folder" | wc -c)" -le 40 ] || folder=/tmp
  export TMPDIR="$folder"
fi
export PMIX_MCA_gds=hash

version=$(mpirun --version 2>&1 | head -n 1)
case "$version" in
  *"(Open MPI) 4."[1-9]*)
    exec mpirun -np "$ranks" --bind-to none --mca btl_vader_single_copy_mechanism none \
      --mca mpi_yield_when_idle 1 --oversubscribe --mca plm isolated \
      --mca oob_tcp_if_include lo --mca btl self,vader \
      "$@"
    ;;
  *"(Open MPI) 5."*)
    exec mpirun -np "$ranks" --bind-to none --mca smsc ^cma --mca mpi_yield_when_idle 1 \
      --map-by :OVERSUBSCRIBE --prtemca plm ssh --mca btl self,sm \
      "$@"
    ;;
esac
echo "mpirun_local.sh: mpirun is not Open MPI 4.1 or 5 ($version)" >&2
exit 3
