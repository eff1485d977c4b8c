// The folder for temporary files, as the environment names it. Reads the environment and the file
// system; main thread.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"

namespace trireme {

// TMPDIR as an absolute path; /tmp where it is not set or empty.
std::string temporary_folder();

// The longest path that Open MPI can use: paths of its local sockets are limited to 107 bytes.
inline constexpr size_t kMaxMpiTemporaryPath = 40;

// The same for MPI: /tmp where the path is too long for it.
std::string mpi_temporary_folder();

// The value of TMPDIR that MPI's processes need, where it is not the one that they inherit. Open
// MPI reads TMPDIR, TEMP and TMP in this order.
std::optional<std::string> tmpdir_for_mpi();

// TRI-UP-015: one of these folders does not exist, cannot be written, or has few free inodes.
Status check_temporary_folder();

}  // namespace trireme
