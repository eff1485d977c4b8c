// One seeded run of ranks that outlive their coordinator: the real WorkerSet and RankLife over a
// network that delays frames and loses those of a coordinator that ends, at any moment. Ranks hold
// their own plans and block in a step until every rank has its plan, as in a collective.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

struct RejoinReport {
  std::string failure;   // empty: everything held
  int64_t restarts = 0;  // of the coordinator
  int64_t relayed = 0;   // plans that a rank got from another one
  int64_t steps = 0;
  uint64_t trace_hash = 0;
};

RejoinReport run_rejoin_seed(uint64_t seed);

}  // namespace trireme
