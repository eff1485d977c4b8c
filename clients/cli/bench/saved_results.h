// Bench results on disk: one file of JSON lines per run. The first line describes the run, every
// other line is a measurement as `bench --json` prints it (docs/formats.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "launch/command_lines/cluster_flags.h"

namespace trireme {

struct SavedRun {
  std::string about;                 // JSON object of describe_run()
  std::vector<std::string> results;  // JSON objects, in the order of the file
};

// {"kind", "time", "version", "host", "cores", "isa", "model", "tp", "pp", ...}
nlohmann::ordered_json describe_run(const std::string& kind, const ClusterFlags& flags);

// A new file of results, made before the measurements begin; removed if they do not end.
class ResultsFile {
 public:
  // Makes `folder` and in it a file of a name that is free. TRI-BENCH-004: it cannot be made.
  static StatusOr<ResultsFile> create(const std::string& folder,
                                      const std::string& kind,
                                      const ClusterFlags& flags);
  ~ResultsFile();
  ResultsFile(ResultsFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ResultsFile& operator=(ResultsFile&& other) noexcept;

  // Writes and keeps the file. TRI-BENCH-004: it cannot be written.
  Status write(const SavedRun& run);

 private:
  explicit ResultsFile(std::string path) : path_(std::move(path)) {}

  std::string path_;  // empty: written, or moved from
};

// Reads every *.jsonl of the folders, in order of names. TRI-BENCH-005: a folder is missing or has
// none; TRI-BENCH-006: a line is not a result (names file and line).
StatusOr<std::vector<SavedRun>> read_runs(const std::vector<std::string>& folders);

}  // namespace trireme
