# Sets of precompiled headers, of the programs and of the tests. Only headers of other projects:
# headers of this project change too often.
set(common_headers
  <algorithm> <cstdint> <functional> <map> <memory> <optional> <string> <string_view>
  <unordered_map> <utility> <vector>
  <fmt/core.h> <absl/status/status.h> <absl/status/statusor.h>)

trireme_precompiled(program HEADERS ${common_headers} LINK fmt::fmt absl::statusor)
if(TRIREME_BUILD_TESTS)
  trireme_precompiled(test
    HEADERS ${common_headers} <gmock/gmock.h> <gtest/gtest.h>
    LINK fmt::fmt absl::statusor GTest::gtest GTest::gmock)
endif()
