#include "coordinator/doors/free_ports.h"

#include <fstream>
#include <random>

namespace trireme {

std::vector<int> free_port_candidates(int count) {
  constexpr int kFirst = 20'000;
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  int end = 0;
  std::vector<int> ports;
  if (!(range >> end) || end <= kFirst) return ports;
  std::random_device random;
  for (int i = 0; i < count; ++i) {
    ports.push_back(kFirst + static_cast<int>(random() % static_cast<unsigned>(end - kFirst)));
  }
  return ports;
}

}  // namespace trireme
