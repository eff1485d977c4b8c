# Every library comes from the distribution; nothing is fetched.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED)  # headers only
find_package(OpenSSL REQUIRED)
find_package(Protobuf REQUIRED)
# The C interface alone: Open MPI 5 has no library of C++ bindings, and a worker that was built with
# 4.1 runs under its mpirun.
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS CXX)
get_target_property(mpi_libraries MPI::MPI_CXX INTERFACE_LINK_LIBRARIES)
list(FILTER mpi_libraries EXCLUDE REGEX "mpi_cxx")
set_target_properties(MPI::MPI_CXX PROPERTIES INTERFACE_LINK_LIBRARIES "${mpi_libraries}")
find_package(PkgConfig REQUIRED)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
if(TRIREME_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()
if(TRIREME_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
# Headers only, for the timeline of kernels (tests/gpu); without them there is none.
find_path(CUPTI_INCLUDE_DIR cupti.h HINTS ${CUDAToolkit_ROOT} $ENV{CUDAToolkit_ROOT}
  PATHS /usr/local/cuda PATH_SUFFIXES include extras/CUPTI/include)
if(TRIREME_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES OFF)  # named in cmake/targets.cmake
  enable_language(CUDA)
  # CMake 3.25 does not know the C++20 option of nvcc 13.
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA17_STANDARD_COMPILE_OPTION -std=c++20)
  find_package(CUDAToolkit 13 REQUIRED)
  find_path(CUPTI_INCLUDE_DIR cupti.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  # Without NCCL the build supports one host, by peer memory.
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR})
  if(NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
    add_library(nccl UNKNOWN IMPORTED)
    set_target_properties(nccl PROPERTIES
      IMPORTED_LOCATION ${NCCL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NCCL_INCLUDE_DIR})
  endif()
endif()
