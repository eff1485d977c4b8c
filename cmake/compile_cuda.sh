#!/bin/sh
# compile_cuda.sh COMPILER ARGUMENTS... -o OBJECT: runs nvcc, which is asked for `ptxas -v`, and
# keeps what ptxas says of each kernel in OBJECT.ptxas, for tools/cuda_budget.py. The rest of what
# the compiler says is shown.
set -u

object=
previous=
for argument in "$@"; do
  [ "$previous" != -o ] || object=$argument
  previous=$argument
done
said=$object.ptxas
"$@" 2>"$said"
status=$?
if [ $status != 0 ]; then
  cat "$said" >&2
  rm -f "$said"
  exit $status
fi
# Kernels' names, `Used N registers`, stack frames and spills are ptxas's own lines.
grep -v -e '^ptxas info' -e '^    [0-9]* bytes stack frame' -e '^$' "$said" >&2
exit 0
