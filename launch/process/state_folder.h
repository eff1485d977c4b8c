// Folder that holds the worker key, the log and the journal of one cluster. Owned by Cluster, main
// thread. Invariant: a temporary folder is removed with its object; a folder that was named stays.
#pragma once

#include <string>
#include <utility>

#include "base/status.h"

namespace trireme {

class StateFolder {
 public:
  // `path` is --state; "" selects the folder `name` below $XDG_STATE_HOME/trireme
  // (~/.local/state/trireme), or a new one below TMPDIR if there is no name, or where that cannot
  // be made or written. TRI-UP-015: no temporary folder can be made; TRI-UP-016: `path` cannot be
  // made.
  static StatusOr<StateFolder> make(const std::string& path, const std::string& name);

  StateFolder() = default;
  StateFolder(StateFolder&& other) noexcept { swap(other); }
  StateFolder& operator=(StateFolder&& other) noexcept {
    swap(other);
    return *this;
  }
  ~StateFolder();

  const std::string& path() const { return path_; }
  bool is_temporary() const { return is_temporary_; }
  // Line to show where a temporary folder stands in for the default; "": none.
  const std::string& note() const { return note_; }

 private:
  static StatusOr<StateFolder> make_temporary();
  static StatusOr<StateFolder> make_default(const std::string& name);
  void swap(StateFolder& other) {
    std::swap(path_, other.path_);
    std::swap(note_, other.note_);
    std::swap(is_temporary_, other.is_temporary_);
  }

  std::string path_;
  std::string note_;
  bool is_temporary_ = false;
};

}  // namespace trireme
