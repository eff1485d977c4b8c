#include "launch/temporary_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/environment.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;

constexpr char kDefaultFolder[] = "/tmp";

}  // namespace

std::string temporary_folder() {
  const std::string named = environment("TMPDIR").value_or("");
  if (named.empty()) return kDefaultFolder;
  std::error_code error;
  const fs::path path = fs::absolute(named, error);
  return error ? named : path.lexically_normal().string();
}

std::string mpi_temporary_folder() {
  const std::string folder = temporary_folder();
  return folder.size() > kMaxMpiTemporaryPath ? kDefaultFolder : folder;
}

Status check_temporary_folder() {
  const std::string folder = temporary_folder();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return invalid(
        "TRI-UP-015",
        "the temporary folder {} is not a folder{}; set TMPDIR to a folder that can be written",
        folder,
        error ? format_text(" ({})", error.message()) : "");
  }
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return ok_status();
  return invalid("TRI-UP-015",
                 "the temporary folder {} cannot be written: {}; set TMPDIR to a folder that "
                 "can be written",
                 folder,
                 std::strerror(errno));
}

}  // namespace trireme
