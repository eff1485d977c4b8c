// The TOML file of --config: keys and the text of their values. No state, any thread.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

struct ConfigEntry {
  std::string key;                  // as written in the file
  std::vector<std::string> values;  // one per item of a list; one for anything else
};

// The entries of the file, sorted by key. TRI-ARGS-004: a folder, not readable, or not TOML (names
// the line).
StatusOr<std::vector<ConfigEntry>> read_config_file(const std::string& path);

}  // namespace trireme
