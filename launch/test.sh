#!/bin/bash
# Builds everything and runs all tests except those labelled `long` or `doors`; at most 20 minutes
# from a clean clone on two cores. Options go to ctest: test.sh -R '^model/' runs those of model/.
# Ends with `N passed, N failed, N skipped`; exit 1 if a test failed or none ran.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/build.sh

folder=build
results=$folder/test-results
totals=${TRIREME_TEST_TOTALS:-$folder/test-totals.txt}

name=${TRIREME_TEST_NAME:-}
rm -f "$totals"
trap 'echo "${name:+$name: }0 passed, 1 failed, 0 skipped"' ERR

install_missing test
configure $folder -DCMAKE_BUILD_TYPE=Release -DTRIREME_BUILD_TESTS=ON \
  -DTRIREME_WERROR="$(warnings_as_errors)" >/dev/null
build $folder
trap - ERR

rm -rf $results
mkdir -p $results
ctest --test-dir $folder --parallel "$(nproc)" --label-exclude '^(long|doors)$' \
  --output-on-failure --output-junit "$PWD/$results/entries.junit" "$@" || true
python3 tools/count_tests.py --name "$name" --totals "$totals" $results
