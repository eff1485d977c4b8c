// main of every GTest program: exit status 77 when every case skipped, so that ctest says so.
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  const auto& unit = *testing::UnitTest::GetInstance();
  const bool only_skips = unit.skipped_test_count() > 0 && unit.successful_test_count() == 0;
  return result == 0 && only_skips ? 77 : result;
}
