#include "base/environment.h"

#include <cstdlib>

namespace trireme {

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace trireme
