// The folder of tests/data. TRIREME_TEST_DATA overrides it: a bundle has its own copy.
#pragma once

#include <string>

#include "base/environment.h"

namespace trireme {

inline std::string test_data() {
  return environment("TRIREME_TEST_DATA").value_or(TRIREME_TEST_DATA);
}

}  // namespace trireme
