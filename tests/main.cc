// main of every GTest program. Exit status 77 if all cases were skipped or none was selected: ctest
// then reports the program as skipped. Under mpirun only rank 0 writes the file of results.
// A program of several files takes one as its argument, FILE_test, and runs its cases alone.
#include <gtest/gtest.h>

#include <iostream>
#include <string>

#include "base/environment.h"

namespace {

// A GTest filter of the cases of FILE.cc.
std::string cases_of(const std::string& file) {
  const std::string path = "/" + file + ".cc";
  const auto& unit = *testing::UnitTest::GetInstance();
  std::string filter;
  for (int i = 0; i < unit.total_test_suite_count(); ++i) {
    const auto& suite = *unit.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const auto& test = *suite.GetTestInfo(j);
      if (!std::string(test.file()).ends_with(path)) continue;
      filter += std::string(filter.empty() ? "" : ":") + suite.name() + "." + test.name();
    }
  }
  return filter;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (trireme::environment("OMPI_COMM_WORLD_RANK").value_or("0") != "0") {
    testing::GTEST_FLAG(output) = "";
  }
  // The process of a death test has a filter already.
  if (argc > 1 && testing::GTEST_FLAG(filter) == "*") {
    testing::GTEST_FLAG(filter) = cases_of(argv[1]);
    if (testing::GTEST_FLAG(filter).empty()) {
      std::cerr << argv[0] << " has no tests of " << argv[1] << "\n";
      return 1;
    }
  }
  const int result = RUN_ALL_TESTS();
  const auto& unit = *testing::UnitTest::GetInstance();
  const bool nothing_ran = unit.successful_test_count() == 0 && unit.failed_test_count() == 0;
  return result == 0 && nothing_ran ? 77 : result;
}
