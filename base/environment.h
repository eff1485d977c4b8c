// Environment variables. Any thread, as long as none calls setenv(). Only environment.cc calls
// getenv().
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace trireme {

// The value of an environment variable; empty where it is not set. For variables that are not
// flags (NO_COLOR, TRIREME_WORKER_KEY, OMPI_*); the others come through FlagSet (base/flags.h).
std::optional<std::string> environment(const std::string& name);

// The names of all variables.
std::vector<std::string> environment_names();

}  // namespace trireme
