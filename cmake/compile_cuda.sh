#!/bin/sh
# compile_cuda.sh COMPILER ARGUMENTS... -o OBJECT: runs nvcc with `ptxas -v` and stores its report
# on each kernel in OBJECT.ptxas, for tools/cuda_budget.py. Prints all other output of the compiler.
set -u

object=
previous=
for argument in "$@"; do
  [ "$previous" != -o ] || object=$argument
  previous=$argument
done
report=$object.ptxas
"$@" 2>"$report"
status=$?
if [ $status != 0 ]; then
  cat "$report" >&2
  rm -f "$report"
  exit $status
fi
# Hides the lines of ptxas: kernel names, `Used N registers`, stack frames and spills.
grep -v -e '^ptxas info' -e '^    [0-9]* bytes stack frame' -e '^$' "$report" >&2
exit 0
