#!/bin/bash
# Sweeps tensor and pipeline parallel size and concurrency on the demo model. Writes results
# as JSON lines, a CSV table and a page with plots. About four minutes on two cores.
#
#   benchmarks/sweep.sh [FOLDER]       results go to FOLDER (bench-results)
#   CUTS="1x1 2x2" CONCURRENCY=1,8 MODEL=DIR benchmarks/sweep.sh
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-bench-results}
cuts=${CUTS:-1x1 2x1 1x2 2x2}
concurrency=${CONCURRENCY:-1,4,16}
model=${MODEL:-models/demo}
trireme=${TRIREME:-build/bin/trireme}
if [ ! -x "$trireme" ]; then
  echo "sweep.sh: $trireme is missing; ./launch/quickstart.sh builds it" >&2
  exit 2
fi
if [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then
  echo "sweep.sh: $folder holds something already; name another folder" >&2
  exit 2
fi
mkdir -p "$folder"
for cut in $cuts; do
  shape=(--model "$model" -tp "${cut%x*}" -pp "${cut#*x}")
  echo "== -tp ${cut%x*} -pp ${cut#*x}: forward speed" >&2
  "$trireme" bench step "${shape[@]}" --prefill 512 --decode 64 --batch 1,4,16 --repeats 3 \
    --save "$folder"
  echo "== -tp ${cut%x*} -pp ${cut#*x}: through the client door" >&2
  "$trireme" bench serve "${shape[@]}" --concurrency "$concurrency" --input-len 128 \
    --output-len 64 --save "$folder"
done
"$trireme" bench report "$folder" --out "$folder/report.html" --csv "$folder/results.csv"
