#include "launch/state_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/environment.h"
#include "base/flags.h"
#include "base/text.h"

namespace trireme {

namespace fs = std::filesystem;

StatusOr<StateFolder> StateFolder::make_temporary() {
  std::error_code error;
  std::string path = fs::temp_directory_path(error).string() + "/trireme-XXXXXX";
  if (error) {
    return invalid("TRI-UP-015",
                   "TMPDIR is {}, which is not a folder ({}); set it to a folder, or unset it",
                   environment("TMPDIR").value_or("/tmp"),
                   error.message());
  }
  if (::mkdtemp(path.data()) == nullptr) {
    return unavailable("TRI-UP-015",
                       "cannot make the temporary folder {}: {}; check TMPDIR",
                       path,
                       std::strerror(errno));
  }
  StateFolder folder;
  folder.path_ = path;
  folder.is_temporary_ = true;
  return folder;
}

StatusOr<StateFolder> StateFolder::make(const std::string& path, bool is_private) {
  if (path.empty() && is_private) return make_temporary();
  StateFolder folder;
  folder.path_ = path;
  if (path.empty()) {
    const std::string base = environment("XDG_STATE_HOME")
                                 .value_or(environment("HOME").value_or("/tmp") + "/.local/state");
    folder.path_ = base + "/trireme";
  }
  std::error_code error;
  fs::create_directories(folder.path_, error);
  if (!error) return folder;
  return invalid(
      "TRI-UP-016", "cannot make the folder --state {}: {}", folder.path_, error.message());
}

StateFolder::~StateFolder() {
  std::error_code error;
  if (is_temporary_) fs::remove_all(path_, error);
}

}  // namespace trireme
