// The mpirun that starts the ranks: which versions are supported, and the only table of their
// options. docs/operations.md and launch/mpirun_local.sh repeat the options; a test compares them.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

// Open MPI 4.1 launches with its own runtime (ORTE), Open MPI 5 with PRRTE: other options.
enum class MpirunKind : uint8_t { kOpenMpi4, kOpenMpi5 };

struct MpirunVersion {
  MpirunKind kind = MpirunKind::kOpenMpi4;
  std::string number = "4.1";  // as it says: "4.1.4"

  bool operator==(const MpirunVersion&) const = default;
};

struct HostSlots {
  std::string host;
  int slots = 1;
  bool operator==(const HostSlots&) const = default;
};

struct MpirunPlace {
  std::vector<HostSlots> hosts;  // empty: this machine
  std::string agent;             // program that reaches other hosts
  std::string interface;         // network between them; "": MPI chooses
  bool passes_key = false;       // TRIREME_WORKER_KEY goes to the other hosts
};

// The answer of `mpirun --version`. TRI-UP-040: it is no supported Open MPI (names what it is).
StatusOr<MpirunVersion> parse_mpirun_version(const std::string& answer);

// Runs `mpirun --version` of PATH, for at most 8 s. TRI-UP-040: there is none, it does not answer,
// or it is not supported.
StatusOr<MpirunVersion> find_mpirun();

// The words between `mpirun -np N` and the program.
std::vector<std::string> mpirun_options(const MpirunVersion& version, const MpirunPlace& place);

}  // namespace trireme
