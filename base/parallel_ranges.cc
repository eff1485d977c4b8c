#include "base/parallel_ranges.h"

#include <thread>
#include <vector>

namespace trireme {

void run_ranges(int64_t count,
                int parts,
                const std::function<void(int64_t begin, int64_t end)>& part) {
  std::vector<std::jthread> threads;
  for (int index = 0; index + 1 < parts; ++index) {
    threads.emplace_back([&part, begin = count * index / parts, end = count * (index + 1) / parts] {
      part(begin, end);
    });
  }
  part(count * (parts - 1) / parts, count);
}

}  // namespace trireme
