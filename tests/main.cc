// main of every GTest program. Exit status 77 if all cases were skipped or none was selected: ctest
// then reports the program as skipped. Under mpirun only rank 0 writes the file of results.
#include <gtest/gtest.h>

#include "base/environment.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (trireme::environment("OMPI_COMM_WORLD_RANK").value_or("0") != "0") {
    testing::GTEST_FLAG(output) = "";
  }
  const int result = RUN_ALL_TESTS();
  const auto& unit = *testing::UnitTest::GetInstance();
  const bool nothing_ran = unit.successful_test_count() == 0 && unit.failed_test_count() == 0;
  return result == 0 && nothing_ran ? 77 : result;
}
