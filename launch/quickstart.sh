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
build build trireme trireme-coordinator trireme-gateway trireme-worker >&2

prompt='<|im_start|>user
What does `Vec::push` do?<|im_end|>
<|im_start|>assistant
'
say "starting a coordinator and 4 ranks on models/demo; the question: What does \`Vec::push\` do?"
build/bin/trireme run --model models/demo -tp 2 -pp 2 --prompt "$prompt" \
  --temperature 0 --max-tokens 128
say "the cluster is down; a cluster that stays, in one terminal:"
cat >&2 <<'NEXT'
  build/bin/trireme up --model models/demo -tp 2 -pp 2 --http-port 8000
and a question to it, in another one, once the first has printed `http ...`:
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"max_tokens": 128, "messages": [{"role": "user", "content": "What does Vec::push do?"}]}'
More: build/bin/trireme --help, docs/http.md
NEXT
