#!/bin/bash
# Passes if the tests of a program fail, or the emulation ends it and names a kernel:
# expect_red.sh PROGRAM GTEST-OPTION...
output=$(GTEST_OUTPUT='' timeout 100 "$@" 2>&1)
status=$?
echo "$output" | tail -20
if [ $status -eq 1 ] && grep -q 'FAILED TEST' <<<"$output"; then
  echo "red, as it should be"
  exit 0
fi
if [ $status -eq 134 ] && grep -q '^emulated CUDA: kernel' <<<"$output"; then
  echo "red, as it should be: ended by the emulation"
  exit 0
fi
echo "exit $status: the tests of a broken kernel did not fail"
exit 1
