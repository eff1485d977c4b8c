// trireme-coordinator as a child process of a test, with its standard streams in pipes.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

extern char** environ;

namespace trireme {

// Killed by the destructor if it still runs.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command) {
    int in[2], out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    EXPECT_EQ(::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    stdin_ = in[1];
    stdout_ = out[0];
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    close_stdin();
    ::close(stdout_);
  }

  // The next line, or "" at the end or after `limit`.
  std::string line(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (true) {
      const size_t end = buffer_.find('\n');
      if (end != std::string::npos) {
        const std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd item{stdout_, POLLIN, 0};
      if (rest.count() <= 0 || ::poll(&item, 1, static_cast<int>(rest.count())) <= 0) return "";
      char bytes[4096];
      const ssize_t got = ::read(stdout_, bytes, sizeof bytes);
      if (got <= 0) return std::exchange(buffer_, "");
      buffer_.append(bytes, static_cast<size_t>(got));
    }
  }
  // The next event of this name; others are passed over.
  nlohmann::json event(const std::string& name) {
    for (std::string text = line(); !text.empty(); text = line()) {
      nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
      if (json.value("event", "") == name) return json;
    }
    ADD_FAILURE() << "no event " << name;
    return {};
  }
  std::string everything() {
    std::string all;
    for (std::string text = line(std::chrono::seconds(30)); !text.empty();
         text = line(std::chrono::seconds(30)))
      all += text + "\n";
    return all;
  }
  void write(const std::string& text) {
    EXPECT_EQ(::write(stdin_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close_stdin() {
    if (stdin_ >= 0) ::close(std::exchange(stdin_, -1));
  }
  void signal(int number) { ::kill(pid_, number); }
  int exit_status() {
    while (!line().empty()) {
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
  int stdin_ = -1;
  int stdout_ = -1;
  std::string buffer_;
};

inline std::vector<std::string> command(const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {TRIREME_COORDINATOR_FAKE,
                                    "--model",
                                    TRIREME_SOURCE_DIR "/models/demo",
                                    "--port",
                                    "0",
                                    "--control-on-stdin",
                                    "--state",
                                    testing::TempDir()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace trireme
