// Bench results on disk: one file of JSON lines per run. The first line describes the run, every
// other line is a measurement as `bench --json` prints it (docs/formats.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/cluster_flags.h"

namespace trireme {

struct SavedRun {
  std::string about;                 // JSON object of describe_run()
  std::vector<std::string> results;  // JSON objects, in the order of the file
};

// {"kind", "time", "version", "host", "cores", "isa", "model", "tp", "pp", ...}
nlohmann::ordered_json describe_run(const std::string& kind, const ClusterFlags& flags);

// Writes a new file in `folder`. TRI-BENCH-004: it cannot be written.
Status save_run(const std::string& folder, const SavedRun& run);

// Reads every *.jsonl of the folders, in order of names. TRI-BENCH-005: a folder is missing or has
// none; TRI-BENCH-006: a line is not a result (names file and line).
StatusOr<std::vector<SavedRun>> read_runs(const std::vector<std::string>& folders);

}  // namespace trireme
