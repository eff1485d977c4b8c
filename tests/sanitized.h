// Whether a test is built with AddressSanitizer, under which code is several times slower.
#pragma once

namespace trireme {

constexpr bool is_sanitized() {
#ifdef __SANITIZE_ADDRESS__
  return true;
#else
  return false;
#endif
}

}  // namespace trireme
