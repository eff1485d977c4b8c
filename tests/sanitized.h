// Whether a test is built with AddressSanitizer or ThreadSanitizer, under which code is many times
// slower.
#pragma once

namespace trireme {

constexpr bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

}  // namespace trireme
