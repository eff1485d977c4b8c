// Where the files of tests/data lie. The environment moves them: a bundle has a copy of its own.
#pragma once

#include <string>

#include "base/environment.h"

namespace trireme {

inline std::string test_data() {
  return environment("TRIREME_TEST_DATA").value_or(TRIREME_TEST_DATA);
}

}  // namespace trireme
