// Ranks of a test as threads of one process.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace trireme {

// Runs `body(rank)` on `count` threads and waits for all.
inline void run_ranks(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) threads.emplace_back(body, rank);
  for (std::thread& thread : threads) thread.join();
}

inline std::vector<std::string> rank_names(int count) {
  std::vector<std::string> names;
  for (int rank = 0; rank < count; ++rank)
    names.push_back("rank " + std::to_string(rank) + " here");
  return names;
}

}  // namespace trireme
