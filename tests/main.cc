// main of every GTest program: exit status 77 when every case skipped, so that ctest says so.
// Under mpirun only rank 0 writes the file of results.
#include <gtest/gtest.h>

#include "base/flags.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (trireme::environment("OMPI_COMM_WORLD_RANK").value_or("0") != "0") {
    testing::GTEST_FLAG(output) = "";
  }
  const int result = RUN_ALL_TESTS();
  const auto& unit = *testing::UnitTest::GetInstance();
  const bool only_skips = unit.skipped_test_count() > 0 && unit.successful_test_count() == 0;
  return result == 0 && only_skips ? 77 : result;
}
