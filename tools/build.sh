#!/bin/bash
# Functions that configure and build a folder; sourced by the other scripts.

# One compiler per core, but at most one per GiB of available memory: a compiler takes up to 1 GiB.
build_jobs() {
  local cores by_memory
  cores=$(nproc)
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  [ "${by_memory:-1}" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# Warnings are errors with g++ 12, for which the code is kept clean; later compilers add warnings.
warnings_as_errors() {
  if [ "$(g++ -dumpversion | cut -d. -f1)" = 12 ]; then echo ON; else echo OFF; fi
}

# configure FOLDER OPTION...: uses ccache and mold if they are installed.
configure() {
  local folder=$1
  shift
  local options=(-DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
  if command -v ccache >/dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  if command -v mold >/dev/null; then
    options+=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold)
  fi
  cmake -G Ninja -S . -B "$folder" "${options[@]}" "$@"
}

# build FOLDER TARGET...: builds everything if no target is named.
build() {
  local folder=$1
  shift
  cmake --build "$folder" --parallel "$(build_jobs)" ${1:+--target "$@"}
}
