// The promises of every Comm over host memory (MPI, threads), as cases that each rank of a
// communicator of four runs.
#pragma once

#include <ostream>
#include <vector>

#include "worker/comm/comm.h"

namespace trireme {

struct CommCase {
  const char* name;
  void (*run)(Comm& comm, Queue& queue);
};
inline void PrintTo(const CommCase& test, std::ostream* out) { *out << test.name; }

const std::vector<CommCase>& comm_cases();

}  // namespace trireme
