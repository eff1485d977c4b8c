#include "launch/process/state_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/environment.h"
#include "base/text.h"
#include "launch/process/temporary_folder.h"

namespace trireme {

namespace fs = std::filesystem;

namespace {

// The default of --state, or the reason why the environment names none.
StatusOr<std::string> default_path() {
  // A relative XDG_STATE_HOME is ignored, as its specification says.
  const std::string state_home = environment("XDG_STATE_HOME").value_or("");
  if (state_home.starts_with("/")) return state_home + "/trireme";
  const std::string home = environment("HOME").value_or("");
  if (home.starts_with("/")) return home + "/.local/state/trireme";
  return absl::NotFoundError(home.empty()
                                 ? "HOME is not set"
                                 : format_text("HOME is {}, which is not an absolute path", home));
}

Status make_writable(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && ::access(path.c_str(), W_OK | X_OK) != 0) {
    error = std::error_code(errno, std::generic_category());
  }
  if (!error) return ok_status();
  return absl::PermissionDeniedError(
      format_text("the folder {} cannot be made or written: {}", path, error.message()));
}

}  // namespace

StatusOr<StateFolder> StateFolder::make_temporary() {
  RETURN_IF_ERROR(check_temporary_folder());
  std::string path = temporary_folder() + "/trireme-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return unavailable(
        "TRI-UP-015",
        "cannot make the temporary folder {}: {}; set TMPDIR to a folder that can be written",
        path,
        std::strerror(errno));
  }
  StateFolder folder;
  folder.path_ = path;
  folder.is_temporary_ = true;
  return folder;
}

// Nobody asked for the default folder, so it is no reason to refuse the start.
StatusOr<StateFolder> StateFolder::make_default(const std::string& name) {
  StatusOr<std::string> path = default_path();
  if (path.ok()) *path += "/" + name;
  const Status made = path.ok() ? make_writable(*path) : path.status();
  StateFolder folder;
  if (made.ok()) {
    folder.path_ = *path;
    return folder;
  }
  ASSIGN_OR_RETURN(folder, make_temporary());
  folder.note_ = format_text(
      "{}; log, keys and journal are in {}, which is removed at the end, so that requests do not "
      "outlive `up` (--state FOLDER keeps them)",
      message_of(made),
      folder.path_);
  return folder;
}

StatusOr<StateFolder> StateFolder::make(const std::string& path, const std::string& name) {
  if (path.empty()) return name.empty() ? make_temporary() : make_default(name);
  StateFolder folder;
  folder.path_ = path;
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
