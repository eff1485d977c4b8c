#include "clients/cli/bench/saved_results.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/cpu_tiers.h"
#include "base/host_info.h"
#include "base/text.h"
#include "clients/cli/json_lines.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kMaxRunsOfAName = 10'000;

std::string now_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

StatusOr<SavedRun> read_run(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<NumberedLine> lines, read_lines(path));
  SavedRun run;
  for (const NumberedLine& line : lines) {
    const Json json = Json::parse(line.text, nullptr, /*allow_exceptions=*/false);
    const bool first = run.about.empty();
    const bool fits = json.is_object() && (first ? json.contains("kind") && json.contains("time")
                                                 : json.contains("tokens_per_second") ||
                                                       json.contains("output_tokens_per_second"));
    if (!fits) {
      return invalid("TRI-BENCH-006",
                     "{} line {} is not a result of a bench; give folders that --save has written",
                     path,
                     line.number);
    }
    if (first) {
      run.about = line.text;
    } else {
      run.results.push_back(line.text);
    }
  }
  return run;
}

}  // namespace

Json describe_run(const std::string& kind, const ClusterFlags& flags) {
  return {{"kind", kind},
          {"time", now_text()},
          {"version", TRIREME_VERSION},
          {"host", host_name()},
          {"cores", usable_core_count()},
          {"isa", best_cpu_tier()},
          {"model", flags.model},
          {"tp", flags.tp},
          {"pp", flags.pp},
          {"groups", flags.groups},
          {"dtype", flags.dtype},
          {"threads", flags.threads}};
}

StatusOr<ResultsFile> ResultsFile::create(const std::string& folder,
                                          const std::string& kind,
                                          const ClusterFlags& flags) {
  std::error_code error;
  fs::create_directories(folder, error);
  const std::string stem = format_text("{}/{}-tp{}-pp{}", folder, kind, flags.tp, flags.pp);
  std::string path = stem + ".jsonl";
  int fd = -1;
  for (int i = 2; i < kMaxRunsOfAName; ++i) {
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0 || errno != EEXIST) break;
    path = format_text("{}-{}.jsonl", stem, i);
  }
  if (fd < 0) {
    return invalid("TRI-BENCH-004",
                   "cannot make {} for --save: {}; name a folder",
                   path,
                   std::strerror(errno));
  }
  ::close(fd);
  return ResultsFile(std::move(path));
}

ResultsFile::~ResultsFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

ResultsFile& ResultsFile::operator=(ResultsFile&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

Status ResultsFile::write(const SavedRun& run) {
  std::ofstream file(path_);
  file << run.about << "\n";
  for (const std::string& result : run.results) file << result << "\n";
  file.close();
  const std::string path = std::exchange(path_, {});
  if (file) return ok_status();
  return unavailable("TRI-BENCH-004", "cannot write {}; check the folder of --save", path);
}

StatusOr<std::vector<SavedRun>> read_runs(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".jsonl") paths.push_back(entry.path());
    }
    if (error || paths.empty()) {
      return invalid("TRI-BENCH-005",
                     "{}{}; give folders that --save has written",
                     folder,
                     error ? " cannot be read as a folder" : " holds no *.jsonl");
    }
  }
  std::ranges::sort(paths);
  std::vector<SavedRun> runs;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(SavedRun run, read_run(path));
    if (!run.about.empty()) runs.push_back(std::move(run));
  }
  return runs;
}

}  // namespace trireme
