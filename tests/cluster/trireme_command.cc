#include "tests/cluster/trireme_command.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/text.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> command_line(const std::vector<std::string>& prefix,
                                      const std::vector<std::string>& arguments) {
  std::vector<std::string> command = prefix;
  command.emplace_back(TRIREME_BIN_DIR "/trireme");
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

struct ProcessEntry {
  std::string name;
  char state = '?';
  pid_t parent = 0;
};

// pid (name) state parent ...
std::map<pid_t, ProcessEntry> all_processes() {
  std::map<pid_t, ProcessEntry> processes;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string folder = entry.path().filename();
    if (folder.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string line;
    std::getline(file, line);
    const size_t open = line.find('(');
    const size_t close = line.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 4 > line.size())
      continue;
    processes[std::stoi(folder)] = {line.substr(open + 1, close - open - 1),
                                    line[close + 2],
                                    std::stoi(line.substr(close + 4))};
  }
  return processes;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_running(pid_t pid) {
  const auto processes = all_processes();
  const auto found = processes.find(pid);
  return found != processes.end() && found->second.state != 'Z';
}

RunningTrireme::RunningTrireme(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& prefix,
                               bool takes_lines) {
  ProcessOptions options;
  options.arguments = command_line(prefix, arguments);
  options.environment = {{"NO_COLOR", "1"}};
  options.pipe_stdin = takes_lines;
  auto process = Process::start(options);
  if (process.ok()) {
    process_ = std::move(*process);
  } else {
    ADD_FAILURE() << message_of(process.status());
  }
}

void RunningTrireme::write_line(const std::string& line) {
  EXPECT_TRUE(process_.write_line(line)) << text();
}

bool RunningTrireme::wait_for_note(const std::string& words, int timeout_ms) {
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + TimeUs{1000} * timeout_ms;
  const auto has_words = [&](const std::string& line) {
    return line.find(words) != std::string::npos;
  };
  while (std::ranges::none_of(err_, has_words)) {
    if (process_.exit_status() || clock.now_us() >= deadline_us) return false;
    read(50);
  }
  return true;
}

void RunningTrireme::read(int timeout_ms) {
  std::vector<pollfd> waits;
  for (const int fd : process_.descriptors()) waits.push_back({fd, POLLIN, 0});
  ::poll(waits.data(), waits.size(), timeout_ms);
  process_.read_lines(out_, err_);
}

std::string RunningTrireme::wait_for(const std::string& words, int timeout_ms) {
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + TimeUs{1000} * timeout_ms;
  while (clock.now_us() < deadline_us) {
    const bool ended = process_.exit_status().has_value();
    read(ended ? 0 : 50);
    while (seen_ < out_.size()) {
      const std::string& line = out_[seen_++];
      if (line.find(words) != std::string::npos) return line;
    }
    if (ended) return "";
  }
  return "";
}

CommandResult RunningTrireme::finish(int timeout_ms) {
  SteadyClock clock;
  const TimeUs start_us = clock.now_us();
  const TimeUs deadline_us = start_us + TimeUs{1000} * timeout_ms;
  while (!process_.exit_status() && clock.now_us() < deadline_us) read(50);
  CommandResult result;
  result.status = process_.exit_status().value_or(-1);
  result.seconds = static_cast<double>(clock.now_us() - start_us) * 1e-6;
  read(0);
  result.out = join(out_, "\n");
  result.err = join(err_, "\n");
  return result;
}

std::vector<pid_t> RunningTrireme::descendants(const std::string& name) const {
  const auto processes = all_processes();
  std::vector<pid_t> found;
  for (const auto& [pid, entry] : processes) {
    if (entry.name != name.substr(0, 15)) continue;
    pid_t ancestor = pid;
    while (ancestor > 1 && ancestor != process_.pid() && processes.contains(ancestor)) {
      ancestor = processes.at(ancestor).parent;
    }
    if (ancestor == process_.pid()) found.push_back(pid);
  }
  return found;
}

std::vector<pid_t> RunningTrireme::wait_for_descendants(const std::string& name, size_t count) {
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + TimeUs{20'000'000};
  std::vector<pid_t> found;
  while (found.size() < count && clock.now_us() < deadline_us && !process_.exit_status()) {
    read(20);
    found = descendants(name);
  }
  return found;
}

std::string RunningTrireme::text() const {
  return format_text("{}\n{}", join(out_, "\n"), join(err_, "\n"));
}

CommandResult run_trireme(const std::vector<std::string>& arguments, int timeout_ms) {
  RunningTrireme running(arguments);
  return running.finish(timeout_ms);
}

TemporaryFolder::TemporaryFolder() {
  path_ = testing::TempDir() + "/trireme-test-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no folder " << path_;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

}  // namespace trireme
