#!/bin/bash
# bundle.sh [BUILD [ARCHIVE]]: makes a relocatable archive from a build with TRIREME_CUDA=ON
# (default build-cuda, target gpu_programs): programs, tests of the ops, benchmarks, Open MPI and
# every library except glibc and NVIDIA's, golden data, the demo model and scripts. With the files
# of the repository it stays under 64 MiB, which remote GPU machines accept. It runs from any
# folder of an x86-64 machine with glibc 2.36 or later:
#   tar xJf trireme-bundle.tar.xz    (without xz: python3 -m tarfile -e trireme-bundle.tar.xz)
#   trireme-bundle/trireme doctor && trireme-bundle/run_all.sh --profile
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build-cuda}
archive=$(realpath -m "${2:-$build/trireme-bundle.tar.xz}")
name=trireme-bundle
most_bytes=$((64 << 20))  # with the files of the repository

say() { echo "bundle.sh: $*" >&2; }
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/$name
mkdir -p "$root"/{bin,etc,share,tests/data,models,lib/openmpi,lib/pmix,lib/absent}

# Makes a stub for a library of NVIDIA's that the machine may lack: every call fails, so that
# programs start and report the missing library.
make_absent() {
  local soname=$1 folder=$root/lib/absent/$2 prefix=$3 symbols source=$stage/absent.c
  symbols=$(nm -D --undefined-only "$root"/bin/trireme-* "$root"/tests/*_test 2>/dev/null |
    awk '{print $2}' | sed 's/@.*//' | grep "^$prefix[A-Z]" | sort -u || true)
  [ -n "$symbols" ] || return 0
  mkdir -p "$folder"
  local symbol
  for symbol in $symbols; do
    case $symbol in
      *GetErrorString | *GetLastError | *GetStatusString | *GetStatusName)
        echo "const char* $symbol(void) { return \"the library is not on this machine\"; }" ;;
      *GetVersion) echo "int $symbol(int* version) { if (version) *version = 0; return 1; }" ;;
      *) echo "int $symbol(void) { return 1; }" ;;
    esac
  done >"$source"
  echo "$soname { global: *; };" >"$stage/absent.map"
  gcc -shared -fPIC -w -Wl,-soname,"$soname" -Wl,--version-script="$stage/absent.map" \
    -o "$folder/$soname" "$source"
}

# Prints the libraries that these files need, except glibc's and NVIDIA's.
libraries_of() {
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-} ldd "$@" | awk '/=> \// { print $3 }' | sort -u |
    grep -vE '/(ld-linux|libc|libm|libdl|librt|libpthread|libresolv|libutil|libnss_.*)[.-][^/]*$' |
    grep -vE '/lib(cuda|cudart|cublas|cublasLt|nccl|nvidia.*|nvJitLink)\.[^/]*$'
}

programs=(trireme trireme-coordinator trireme-gateway trireme-worker trireme-cuda-bench)
for program in "${programs[@]}"; do
  if [ ! -x "$build/bin/$program" ]; then
    say "$build/bin/$program is missing; build the target gpu_programs"
    exit 2
  fi
  cp "$build/bin/$program" "$root/bin/"
done
cp "$(readlink -f "$(command -v mpirun)")" "$root/bin/mpirun"
cp "$(readlink -f "$(command -v orted)")" "$root/bin/orted"
for test in tests/kernels/*_test.cc; do
  program=$build/tests/$(basename "$test" .cc)
  [ ! -x "$program" ] || cp "$program" "$root/tests/"
done

plugins=$(ompi_info --parsable --path pkglibdir | cut -d: -f3)
# Excluded: networks with their own drivers, file access, shared heaps, monitoring.
for plugin in "$plugins"/mca_*.so; do
  case $(basename "$plugin") in
    *ucx* | *ofi* | *psm* | *openib* | *usnic* | *monitoring* | *flux*) ;;
    mca_io_* | mca_fs_* | mca_fbtl_* | mca_fcoll_* | mca_sharedfp_*) ;;
    mca_scoll_* | mca_spml_* | mca_sshmem_* | mca_memheap_* | mca_atomic_*) ;;
    *) cp "$plugin" "$root/lib/openmpi/" ;;
  esac
done
cp -r "$(ompi_info --parsable --path pkgdatadir | cut -d: -f3)" "$root/share/openmpi"
pmix=$(ldd "$root"/lib/openmpi/mca_pmix_ext*.so | awk '/libpmix/ { print $3 }')
if [ -n "$pmix" ]; then
  pmix=$(dirname "$(readlink -f "$pmix")")
  cp "$pmix"/pmix/*.so "$root/lib/pmix/"
fi

make_absent libcublasLt.so.13 cublasLt cublasLt
make_absent libnccl.so.2 nccl nccl
for library in $(libraries_of "$root"/bin/* "$root"/tests/*_test "$root"/lib/openmpi/*.so \
  "$root"/lib/pmix/*.so); do
  cp -L "$library" "$root/lib/"
done
find "$root" -type f \( -name "*.so*" -o -perm -u+x \) -exec strip --strip-unneeded {} + \
  2>/dev/null ||
  true

cp tools/bundle/environment.sh tools/bundle/with_bundle.sh tools/bundle/trireme "$root/"
cp tests/gpu/run_all.sh "$root/"
for module in tests/gpu/*.py; do
  case $module in *_test.py) ;; *) cp "$module" "$root/" ;; esac
done
if [ -e "$build/lib/libkernel_trace.so" ]; then
  cp "$build/lib/libkernel_trace.so" "$root/lib/"
else
  say "without the timeline of kernels: the build found no headers of CUPTI"
fi
mkdir "$root/tests/data/golden"
cp -r tests/data/golden/{models,sampling} "$root/tests/data/golden/"
cp -r models/demo "$root/models/"
cp docs/gpu.md LICENSE "$root/"
git rev-parse HEAD >"$root/revision" 2>/dev/null || echo unknown >"$root/revision"

# One window over all programs, which hold the same libraries; xz in Python where it is no command.
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner -cf "$stage/bundle.tar" "$name"
python3 - "$stage/bundle.tar" "$archive" "${TRIREME_BUNDLE_PRESET:-6}" <<'END'
import lzma, shutil, sys
preset = int(sys.argv[3])  # 1 takes half of the time of 6, for 6% more bytes
window = {"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": 1 << 27}
filters = [{"id": lzma.FILTER_X86}, window]
with open(sys.argv[1], "rb") as plain, lzma.open(sys.argv[2], "wb", filters=filters) as packed:
    shutil.copyfileobj(plain, packed, 1 << 20)
END
bytes=$(stat -c %s "$archive")
tree=$({ git ls-files -z 2>/dev/null || true; } | xargs -0r stat -c %s |
  awk '{ sum += $1 } END { print sum + 0 }')
say "$archive: $((bytes >> 20)) MiB, with the repository $(((bytes + tree) >> 20)) MiB"
if [ $((bytes + tree)) -gt "$most_bytes" ]; then
  say "that is over $((most_bytes >> 20)) MiB"
  exit 1
fi
