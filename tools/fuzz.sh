#!/bin/bash
# Fuzzes what strangers' bytes reach first, with libFuzzer and sanitizers, for as long as you like.
#   fuzz.sh SECONDS [NAME...]   each of http_request, api_call, template and answer for that long
# A found input stays in build-fuzz/found; run it again with build-fuzz/bin/fuzz_NAME FILE.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/build.sh

seconds=${1:?fuzz.sh SECONDS [NAME...]}
shift
names=("$@")
[ $# -gt 0 ] || names=(http_request api_call template answer)
command -v clang++ >/dev/null || { echo "fuzz.sh: clang++ is missing (package clang)" >&2; exit 2; }
configure build-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER=clang++ \
  -DTRIREME_FUZZ=ON -DTRIREME_BUILD_TESTS=OFF -DTRIREME_PRECOMPILED_HEADERS=OFF \
  -DTRIREME_SANITIZE=address -DCMAKE_CXX_FLAGS=-fsanitize=fuzzer-no-link >/dev/null
build build-fuzz "${names[@]/#/fuzz_}"
mkdir -p build-fuzz/found
for name in "${names[@]}"; do
  mkdir -p "build-fuzz/corpus/$name"
  if [ "$name" = template ]; then cp -n tests/doors/templates/*.jinja "build-fuzz/corpus/$name"; fi
  "build-fuzz/bin/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
    -artifact_prefix="build-fuzz/found/$name-" "build-fuzz/corpus/$name"
done
