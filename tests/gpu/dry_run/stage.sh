#!/bin/bash
# stage.sh BUILD FOLDER: a folder that looks like a bundle, of the programs and tests of a build
# without CUDA, whose device is emulated (targets emulated_cluster, cuda_bench_emulated and the op
# tests).
set -euo pipefail
build=$(realpath "${1:?usage: stage.sh BUILD FOLDER}")
folder=$(realpath -m "${2:?usage: stage.sh BUILD FOLDER}")
source=$(cd "$(dirname "$0")/../../.." && pwd)
for program in emulated/trireme emulated/trireme-coordinator emulated/trireme-worker \
  bin/cuda_bench_emulated tests/norm_test; do
  [ -x "$build/$program" ] || { echo "skipped: $build/$program is not built" >&2; exit 77; }
done
mkdir -p "$folder"/{bin,lib,tests/data/golden,models}
# Copies would take a second; the programs find one another by their real paths.
ln -s "$build"/emulated/trireme* "$folder/bin/"
ln -s "$build/bin/cuda_bench_emulated" "$folder/bin/trireme-cuda-bench"
for test in "$source"/tests/kernels/*_test.cc; do
  program=$build/tests/$(basename "$test" .cc)
  [ ! -x "$program" ] || ln -s "$program" "$folder/tests/"
done
ln -s "$source"/tests/data/golden/models "$folder/tests/data/golden/"
ln -s "$source/models/demo" "$folder/models/"
git -C "$source" rev-parse HEAD >"$folder/revision" 2>/dev/null || echo unknown >"$folder/revision"
cat >"$folder/with_bundle.sh" <<END
#!/bin/sh
PATH="$folder/bin:\$PATH" TRIREME_TEST_DATA="$source/tests/data" exec "\$@"
END
chmod +x "$folder/with_bundle.sh"
