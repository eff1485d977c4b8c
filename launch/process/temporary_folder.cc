#include "launch/process/temporary_folder.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/environment.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;

constexpr char kDefaultFolder[] = "/tmp";
constexpr fsfilcnt_t kLeastFreeInodes = 32;  // of the session folders of a group

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

std::optional<std::string> tmpdir_for_mpi() {
  const auto named = environment("TMPDIR");
  const std::string folder = mpi_temporary_folder();
  const bool is_inherited = named ? *named == folder : !environment("TEMP") && !environment("TMP");
  return is_inherited ? std::nullopt : std::optional(folder);
}

static Status check_folder(const std::string& folder) {
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

static Status check_inodes(const std::string& folder) {
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) != 0 || space.f_files == 0) return ok_status();
  if (space.f_favail >= kLeastFreeInodes) return ok_status();
  return invalid("TRI-UP-015",
                 "the temporary folder {} has only {} free inodes, at least {} are needed; remove "
                 "files or set TMPDIR to another folder",
                 folder,
                 space.f_favail,
                 kLeastFreeInodes);
}

static Status check_usable(const std::string& folder) {
  RETURN_IF_ERROR(check_folder(folder));
  return check_inodes(folder);
}

Status check_temporary_folder() {
  const std::string folder = temporary_folder();
  const std::string of_mpi = mpi_temporary_folder();
  RETURN_IF_ERROR(check_usable(folder));
  return of_mpi == folder ? ok_status() : check_usable(of_mpi);
}

}  // namespace trireme
