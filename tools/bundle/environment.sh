# Sourced by the scripts of a bundle, with its folder in TRIREME_BUNDLE: finds the machine's CUDA
# libraries and sets the environment of the bundle's programs. Executed (`sh environment.sh`), it
# prints the libraries found. It changes no shell variables of the caller except exported ones.
#
# The machine's libraries come from the toolkit, the distribution or the `nvidia` folders of a
# Python environment, in this order; CUDAToolkit_ROOT and TRIREME_PYTHON override them.

# Folders that may hold CUDA's libraries, in search order.
trireme_library_folders() {
  for root in "${CUDAToolkit_ROOT:-}" "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda \
    /usr/local/cuda-13*; do
    [ -z "$root" ] || printf '%s\n' "$root/lib64" "$root/targets/x86_64-linux/lib" "$root/lib" \
      "$root/extras/CUPTI/lib64"
  done
  printf '%s\n' "${LD_LIBRARY_PATH:-}" | tr ':' '\n'
  ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
  "$ldconfig" -p 2>/dev/null | sed -n 's|.*x86-64.* => \(.*\)/[^/]*$|\1|p' | sort -u
  python=${TRIREME_PYTHON:-$(command -v python3)}
  if [ -n "$python" ]; then
    "$python" -c 'import glob, sys
for path in sys.path:
    for folder in sorted(glob.glob(glob.escape(path) + "/nvidia/*/lib")):
        print(folder)' 2>/dev/null
  fi
  for root in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}" "${HOME:-}/.local" /usr /usr/local /opt/*; do
    [ -z "$root" ] || printf '%s\n' "$root"/lib/python3*/*-packages/nvidia/*/lib
  done
}

# The first of the folders with the library, or nothing.
trireme_folder_of() {
  printf '%s\n' "$folders" | while IFS= read -r folder; do
    [ -n "$folder" ] && [ -e "$folder/$1" ] || continue
    printf '%s\n' "$folder"
    break
  done
}

# Prints a line about one library: its soname and its folder.
trireme_say_library() {
  if [ -n "$2" ]; then
    echo "$1: $(readlink -f "$2/$1")"
  else
    echo "$1: not found; $3"
  fi
}

trireme_set_environment() {
  bundle=$1
  folders=$(trireme_library_folders)
  cublas=$(trireme_folder_of libcublasLt.so.13)
  nccl=$(trireme_folder_of libnccl.so.2)
  cupti=$(trireme_folder_of libcupti.so.13)
  TRIREME_CUPTI=${cupti:+$cupti/libcupti.so.13}  # opened by lib/libkernel_trace.so alone
  TRIREME_FOUND="$(trireme_say_library libcublasLt.so.13 "$cublas" \
    "matrix products are our own kernels' alone")
$(trireme_say_library libnccl.so.2 "$nccl" "several GPUs reach each other on one host only")
$(trireme_say_library libcupti.so.13 "$cupti" "no timeline of kernels")
$(trireme_say_library libcuda.so.1 "$(trireme_folder_of libcuda.so.1)" \
    "no driver, no GPU: --backend cpu")"
  # Only for programs of the bundle: its C++ library may be older than the machine's.
  TRIREME_LIBRARIES=$bundle/lib${cublas:+:$cublas}${nccl:+:$nccl}
  [ -n "$cublas" ] || TRIREME_LIBRARIES=$TRIREME_LIBRARIES:$bundle/lib/absent/cublasLt
  [ -n "$nccl" ] || TRIREME_LIBRARIES=$TRIREME_LIBRARIES:$bundle/lib/absent/nccl
  export TRIREME_FOUND TRIREME_LIBRARIES TRIREME_CUPTI
}

trireme_run() {
  export LD_LIBRARY_PATH="$TRIREME_LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export PATH="$TRIREME_BUNDLE/bin:${PATH:-/usr/bin:/bin}"
  export TRIREME_TEST_DATA="$TRIREME_BUNDLE/tests/data"
  # Folders in which Open MPI and PMIx look for their own files.
  export OPAL_PREFIX="$TRIREME_BUNDLE" OPAL_BINDIR="$TRIREME_BUNDLE/bin"
  export OPAL_LIBDIR="$TRIREME_BUNDLE/lib" OPAL_PKGLIBDIR="$TRIREME_BUNDLE/lib/openmpi"
  export OPAL_PKGDATADIR="$TRIREME_BUNDLE/share/openmpi" OPAL_SYSCONFDIR="$TRIREME_BUNDLE/etc"
  export OMPI_MCA_mca_base_component_path="$TRIREME_BUNDLE/lib/openmpi"
  export PMIX_MCA_mca_base_component_path="$TRIREME_BUNDLE/lib/pmix"
  export PMIX_INSTALL_PREFIX="$TRIREME_BUNDLE"
  exec "$@"
}

[ -n "${TRIREME_BUNDLE:-}" ] || TRIREME_BUNDLE=$(cd "$(dirname "$0")" && pwd)
export TRIREME_BUNDLE
[ -n "${TRIREME_LIBRARIES:-}" ] || trireme_set_environment "$TRIREME_BUNDLE"
case $0 in *environment.sh) printf '%s\n' "$TRIREME_FOUND" ;; esac
