#!/bin/bash
# Installs missing packages, builds the programs, and runs one prompt on the demo model with a
# private cluster: a coordinator and one mpirun of four CPU ranks (-tp 2 -pp 2).
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/build.sh

say() { printf '%s\n' "quickstart: $*" >&2; }

say "checking for missing packages"
install_missing program
if [ ! -f build/build.ninja ]; then
  say "configuring build/"
  configure build -DCMAKE_BUILD_TYPE=Release -DTRIREME_BUILD_TESTS=OFF >/dev/null
fi
say "building with $(build_jobs) compilers (a few minutes the first time)"
build build trireme trireme-coordinator trireme-worker >&2

prompt='<|im_start|>user
What does `Vec::push` do?<|im_end|>
<|im_start|>assistant
'
say "starting a coordinator and 4 ranks on models/demo; the question: What does \`Vec::push\` do?"
build/bin/trireme run --model models/demo -tp 2 -pp 2 --prompt "$prompt" \
  --temperature 0 --max-tokens 128
say "the cluster is down; next: build/bin/trireme --help"
