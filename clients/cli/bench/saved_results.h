// Results of benches on disk: one file a run, JSON lines; the first line describes the run, every
// other is a measurement as `bench` prints it (docs/formats.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/cluster_flags.h"

namespace trireme {

struct SavedRun {
  std::string about;                 // kind, time, version, host, model, cut, ...
  std::vector<std::string> results;  // a JSON object each, in the order of the file
};

// {"kind", "time", "version", "host", "cores", "isa", "model", "tp", "pp", ...}
nlohmann::ordered_json describe_run(const std::string& kind, const ClusterFlags& flags);

// A file in `folder` that does not exist yet. TRI-BENCH-004: it cannot be written.
Status save_run(const std::string& folder, const SavedRun& run);

// Every *.jsonl of the folders, by name. TRI-BENCH-005: no such folder or nothing in it;
// TRI-BENCH-006: a line that is no result (file and line).
StatusOr<std::vector<SavedRun>> read_runs(const std::vector<std::string>& folders);

}  // namespace trireme
