#!/bin/bash
# remove_barrier.sh FROM TO WORDS: copies a kernel without the __syncthreads() whose comment begins
# with WORDS; fails if there is none.
set -euo pipefail
sed "s|__syncthreads();  // $3|// $3|" "$1" >"$2"
if cmp -s "$1" "$2"; then
  echo "$1 has no barrier with the words '$3'" >&2
  rm "$2"
  exit 1
fi
