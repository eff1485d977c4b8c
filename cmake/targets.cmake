# The only CMake functions of the project; every source file is listed in a call of one of them.

# -ffp-contract=off: fused multiply-adds only where a kernel requests them (docs/numerics.md).
function(trireme_compile_options target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE TRIREME_VERSION="${PROJECT_VERSION}")
  target_compile_options(${target} PRIVATE -Wall -Wextra -ffp-contract=off)
  # False positives of g++ 12 and 13: uninitialised members in every moved std::variant, and
  # overlapping copies where a string is appended to a literal.
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict>)
  if(TRIREME_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(TRIREME_SANITIZE STREQUAL "address")
    # These checks of pointers double the compile time; AddressSanitizer finds the same faults.
    target_compile_options(${target} PRIVATE
      -fsanitize=address,undefined -fno-sanitize=null,object-size,pointer-overflow,vptr
      -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  elseif(TRIREME_SANITIZE STREQUAL "thread")
    target_compile_options(${target} PRIVATE -fsanitize=thread)
    target_link_options(${target} PUBLIC -fsanitize=thread)
  endif()
endfunction()

# How far sources are optimised. TRIREME_COMPUTES, set in a folder: its code computes for long. The
# rest is mostly calls and words, which only take longer to compile at a higher level; tests most of
# all. g++ 12 crashes where a file and its precompiled headers differ in their level.
set(TRIREME_COMPUTES OFF)

function(trireme_optimise target kind)
  if(TRIREME_SANITIZE)
    set(levels -O1 -O0)
  else()
    set(levels $<$<CONFIG:Release>:-O3> $<$<CONFIG:Release>:-O2>)
  endif()
  if(kind STREQUAL "test")
    set(levels -O1 -O0)
  endif()
  if(TRIREME_COMPUTES)
    list(GET levels 0 level)
  else()
    list(GET levels 1 level)
  endif()
  target_compile_options(${target} PRIVATE ${level})
endfunction()

function(trireme_test_options target)
  trireme_compile_options(${target})
  trireme_optimise(${target} test)
  # The code under test is checked for undefined behaviour; checks of the tests cost compile time.
  if(TRIREME_SANITIZE STREQUAL "address")
    target_compile_options(${target} PRIVATE -fno-sanitize=undefined)
  endif()
endfunction()

# trireme_precompiled(program|test HEADERS header... LINK target...): the third-party headers that
# most files include, parsed once for each level of optimisation: a third of the compile time.
function(trireme_precompiled kind)
  if(NOT TRIREME_PRECOMPILED_HEADERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "HEADERS;LINK" ${ARGN})
  foreach(TRIREME_COMPUTES OFF ON)
    set(name trireme_precompiled_${kind}_${TRIREME_COMPUTES})
    add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cc)
    if(kind STREQUAL "test")
      trireme_test_options(${name})
    else()
      trireme_compile_options(${name})
      trireme_optimise(${name} program)
    endif()
    target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
    target_link_libraries(${name} PRIVATE ${ARG_LINK})
  endforeach()
endfunction()

# g++ 12 takes a literal in front of a string for an overflow where the header of std::string is
# precompiled, and nowhere else: builds without precompiled headers keep the warning.
function(trireme_use_precompiled target kind)
  if(TRIREME_PRECOMPILED_HEADERS)
    target_precompile_headers(${target}
      REUSE_FROM trireme_precompiled_${kind}_${TRIREME_COMPUTES})
    target_compile_options(${target} PRIVATE
      $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow -Wno-stringop-overread
        -Wno-array-bounds>)
  endif()
endfunction()

# Compiles the files of a target in batches: each header is parsed, and each template instantiated,
# once per batch. Where a name in an anonymous namespace is in two files, rename one, or take a file
# out: trireme_compile_alone(file...).
function(trireme_unity_build target)
  if(TRIREME_UNITY_BUILD)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
  endif()
endfunction()

function(trireme_compile_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# trireme_library(NAME SOURCES file... LINK target...)
function(trireme_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  trireme_compile_options(${name})
  trireme_optimise(${name} program)
  trireme_use_precompiled(${name} program)
  trireme_unity_build(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
endfunction()

# trireme_cuda_library(NAME SOURCES file... LINK target...): kernels for sm_80 and sm_90a, and PTX
# for later GPUs. Without contraction, as on the CPU; kernels call fmaf() explicitly.
function(trireme_cuda_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:TRIREME_VERSION="${PROJECT_VERSION}">)
  # fmt 9 takes nvcc for a compiler without constexpr, and then does not compile with C++20.
  target_compile_definitions(${name} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
  set(host -Wall -Wextra -ffp-contract=off)
  # Compressed device code: a quarter of the size, unpacked once by any driver of CUDA 13.
  set(device --expt-relaxed-constexpr --fmad=false -Xptxas=-v --compress-mode=size
    -gencode=arch=compute_80,code=sm_80
    -gencode=arch=compute_90a,code=sm_90a
    -gencode=arch=compute_90,code=compute_90)
  if(TRIREME_WERROR)
    list(APPEND host -Werror)
    list(APPEND device -Werror=all-warnings)
  endif()
  target_compile_options(${name} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${host}>" "$<$<COMPILE_LANGUAGE:CUDA>:${device}>")
  # No ccache: it sees the preprocessed text of one architecture only. CUDA's runtime is linked
  # statically and loads the driver at run time, so that programs start without a driver.
  set_target_properties(${name} PROPERTIES
    CUDA_COMPILER_LAUNCHER ${PROJECT_SOURCE_DIR}/cmake/compile_cuda.sh
    CUDA_RUNTIME_LIBRARY Static)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# Compiles a target for the emulated device: CUDA's headers come from the emulation, .cu files are
# C++. Optimised in a debug build too, because a kernel runs as thousands of fibers. Nowhere else:
# g++ 12 crashes where a file and its precompiled header differ in their level of optimisation.
function(trireme_emulate_cuda target)
  target_compile_definitions(${target} PUBLIC TRIREME_EMULATED_CUDA)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/kernels/emulation/include)
  # Searched before every -I: its kernels/cuda/arch.h stands in for the real one.
  target_compile_options(${target} PUBLIC
    "SHELL:-iquote ${PROJECT_SOURCE_DIR}/kernels/emulation/include")
  target_compile_options(${target} PUBLIC -Wno-unknown-pragmas)
  if(NOT TRIREME_SANITIZE)
    target_compile_options(${target} PUBLIC $<$<CONFIG:Debug>:-O2>)
  endif()
endfunction()

# trireme_program(NAME SOURCES file... LINK target...)
function(trireme_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  trireme_compile_options(${name})
  trireme_optimise(${name} program)
  trireme_use_precompiled(${name} program)
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

# Adds a test to the target <folder>_tests, and to `single_process_tests` if it needs neither mpirun
# nor a cluster. Programs of long tests are not part of a whole build: `long_programs` builds them.
function(trireme_test_group path label ranks)
  get_filename_component(name ${path} NAME)
  get_filename_component(folder ${path} DIRECTORY)
  set(groups ${folder}_tests)
  if(label STREQUAL "long")
    set(groups long_programs)
  elseif(NOT ranks AND NOT label STREQUAL "cluster")
    list(APPEND groups single_process_tests)
  endif()
  foreach(group ${groups})
    if(NOT TARGET ${group})
      add_custom_target(${group})
    endif()
    add_dependencies(${group} ${name})
  endforeach()
endfunction()

# trireme_test_library(NAME SOURCES file... LINK target...): code that several tests share.
function(trireme_test_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  trireme_test_options(${name})
  trireme_use_precompiled(${name} test)
  trireme_unity_build(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} GTest::gtest GTest::gmock)
  target_compile_definitions(${name} PRIVATE
    TRIREME_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
    TRIREME_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endfunction()

# trireme_test_program(NAME SOURCES file... LINK target... [OWN_MAIN]): a GTest program,
# build/tests/NAME, of the test files that trireme_test(... PROGRAM NAME) adds. OWN_MAIN: one of
# them has the program's main(); beside it mold takes that of tests/main.cc for a second one.
function(trireme_test_program name)
  cmake_parse_arguments(ARG "OWN_MAIN" "" "SOURCES;LINK" ${ARGN})
  if(ARG_OWN_MAIN)
    set(main GTest::gtest GTest::gmock)
  else()
    set(main trireme_test_main)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  trireme_test_options(${name})
  trireme_use_precompiled(${name} test)
  trireme_unity_build(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ${main})
  target_compile_definitions(${name} PRIVATE
    TRIREME_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
    TRIREME_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    TRIREME_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()

# trireme_test(FOLDER/NAME_test PROGRAM program [LABEL label] [TIMEOUT s] [NEEDS program...])
# adds tests/FOLDER/NAME_test.cc to a program, a ctest entry that runs its cases alone, and a target
# NAME_test. The file has its tests in a namespace NAME_test.
# trireme_test(FOLDER/NAME_test LINK target... [SOURCES file...] [RANKS n] [LABEL label]
#              [TIMEOUT s] [NEEDS program...] [VARIANT name ENVIRONMENT NAME=value...] [ALONE])
# builds the file into a program of its own. With RANKS it has its own main() and runs under mpirun.
# LABEL defaults to `unit`; `cluster` entries start processes; `long` entries run in
# tools/test_long.sh only. A VARIANT is another entry of an existing program. ALONE: nothing runs
# beside it, because it keeps all cores busy, or because its subject is time.
function(trireme_test path)
  cmake_parse_arguments(ARG "ALONE" "PROGRAM;RANKS;LABEL;TIMEOUT;VARIANT"
    "LINK;SOURCES;NEEDS;ENVIRONMENT" ${ARGN})
  get_filename_component(name ${path} NAME)
  set(source ${PROJECT_SOURCE_DIR}/tests/${path}.cc)
  if(ARG_PROGRAM)
    target_sources(${ARG_PROGRAM} PRIVATE ${source})
    add_custom_target(${name} DEPENDS ${ARG_PROGRAM})
    set(command $<TARGET_FILE:${ARG_PROGRAM}> ${name})
  else()
    if(NOT TARGET ${name})
      set(own_main)
      if(ARG_RANKS)
        set(own_main OWN_MAIN)
      endif()
      trireme_test_program(${name}
        SOURCES ${source} ${ARG_SOURCES} LINK ${ARG_LINK} ${own_main})
      set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
      if(ARG_LABEL STREQUAL "long")
        set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
      endif()
    endif()
    set(command $<TARGET_FILE:${name}>)
  endif()
  if(ARG_NEEDS)
    add_dependencies(${name} ${ARG_NEEDS})
  endif()
  trireme_test_group(${path} "${ARG_LABEL}" "${ARG_RANKS}")
  set(entry ${path})
  if(ARG_RANKS)
    set(entry ${path}.np${ARG_RANKS})
    list(PREPEND command ${PROJECT_SOURCE_DIR}/launch/mpirun_local.sh ${ARG_RANKS})
  endif()
  if(ARG_VARIANT)
    set(entry ${entry}.${ARG_VARIANT})
  endif()
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(TRIREME_SANITIZE)
    math(EXPR ARG_TIMEOUT "3 * ${ARG_TIMEOUT}")  # the part has a limit of its own
  endif()
  # An emulated device has thousands of stacks: looking for uses of them after their function has
  # returned would double the time.
  if(TRIREME_SANITIZE STREQUAL "address" AND path MATCHES "^(kernels|emulation|worker|cluster)/")
    list(APPEND ARG_ENVIRONMENT ASAN_OPTIONS=strict_string_checks=1)
  endif()
  add_test(NAME ${entry} COMMAND ${command})
  set_tests_properties(${entry} PROPERTIES
    LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT
      "GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/test-results/${entry}.xml;${ARG_ENVIRONMENT}"
    RUN_SERIAL ${ARG_ALONE})
endfunction()

# trireme_script_test(NAME [CASES] [ALONE] COMMAND word...): a test that is a script; status 0
# passes, 77 skips. With CASES it writes its cases as GTEST_OUTPUT asks, and each is counted.
function(trireme_script_test name)
  cmake_parse_arguments(ARG "ALONE;CASES" "LABEL;TIMEOUT" "COMMAND;ENVIRONMENT" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(ARG_CASES)
    list(APPEND ARG_ENVIRONMENT GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml)
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "${ARG_ENVIRONMENT}" RUN_SERIAL ${ARG_ALONE})
endfunction()

# trireme_broken_kernel(NAME KERNEL.cu FILE WORDS OTHERS TEST.cc FILTER target...): the test's
# program over a kernel with OTHERS in place of WORDS in FILE, the kernel itself or a header that it
# includes; it must be red. Not in sanitizer builds, which would only repeat it slowly.
function(trireme_broken_kernel name kernel file words others test filter)
  if(TRIREME_SANITIZE)
    return()
  endif()
  set(replace ${PROJECT_SOURCE_DIR}/tests/emulation/replace_words.sh)
  set(whole ${PROJECT_SOURCE_DIR}/kernels/cuda/${file})
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name})
  set(broken ${folder}/kernels/cuda/${file})
  set(source ${PROJECT_SOURCE_DIR}/kernels/cuda/${kernel})
  if(file STREQUAL kernel)
    set(source ${broken})
  endif()
  get_filename_component(broken_folder ${broken} DIRECTORY)
  file(MAKE_DIRECTORY ${broken_folder})
  add_custom_command(OUTPUT ${broken}
    COMMAND ${replace} ${whole} ${broken} ${words} ${others}
    DEPENDS ${whole} ${replace} VERBATIM)
  set_source_files_properties(${source} PROPERTIES LANGUAGE CXX)
  add_executable(${name} EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/${test} ${source} ${broken})
  target_include_directories(${name} BEFORE PRIVATE ${folder})
  trireme_test_options(${name})
  trireme_use_precompiled(${name} test)
  target_link_libraries(${name} PRIVATE ${ARGN} trireme_test_main)
  trireme_test_group(emulation/${name} long "")
  trireme_script_test(emulation/${name} LABEL long COMMAND
    tests/emulation/expect_red.sh $<TARGET_FILE:${name}> "--gtest_filter=${filter}")
endfunction()

# trireme_command_library(NAME FOLDER file...): test code that starts the programs of a folder.
function(trireme_command_library name folder)
  trireme_test_library(${name} SOURCES ${ARGN} LINK trireme_cli nlohmann_json::nlohmann_json)
  target_compile_definitions(${name} PRIVATE TRIREME_BIN_DIR="${folder}")
endfunction()
