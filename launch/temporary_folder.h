// The folder for temporary files, as the environment names it. Reads the environment and the file
// system; main thread.
#pragma once

#include <string>

#include "base/status.h"

namespace trireme {

// TMPDIR as an absolute path; /tmp where it is not set or empty.
std::string temporary_folder();

// The longest path that Open MPI can use: paths of its local sockets are limited to 107 bytes.
inline constexpr size_t kMaxMpiTemporaryPath = 40;

// The same for MPI: /tmp where the path is too long for it.
std::string mpi_temporary_folder();

// TRI-UP-015: the folder does not exist, or cannot be written.
Status check_temporary_folder();

}  // namespace trireme
