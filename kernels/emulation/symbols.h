// Names of this program's functions, for reports.
#pragma once

#include <string>

namespace trireme::emulation {

// Demangled, without its parameters; "?" if the program has been stripped.
std::string symbol_name(const void* function);

}  // namespace trireme::emulation
