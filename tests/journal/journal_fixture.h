// Requests and records for tests of the journal: random ones, their text for comparison, and a
// reference that applies records in the plainest way.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "coordinator/engine/records.h"
#include "coordinator/journal/journal_entry.h"

namespace trireme::journal {

using Random = std::mt19937_64;

int32_t number(Random& random, int32_t below);

record::Accepted random_accepted(Random& random, const RequestId& id);

// All fields, so that equal texts mean equal values.
std::string describe(const RestoredRequest& request);
std::string describe(const std::vector<RestoredRequest>& requests);
std::string describe(const Record& record);

// The requests that a journal holds, by the typed records alone.
class Reference {
 public:
  void apply(const Record& record);
  std::vector<RestoredRequest> requests() const;  // in order of acceptance
  RestoredRequest* find(const RequestId& id);

 private:
  std::vector<RestoredRequest> requests_;
};

// Makes the records of an engine that serves random requests.
class RandomEngine {
 public:
  explicit RandomEngine(uint64_t seed) : random_(seed) {}

  // A request that wants to be accepted; accept() or drop it.
  record::Accepted propose();
  Record accept(record::Accepted accepted);
  // One event: tokens of some requests, ends, forgotten requests. May be empty.
  Record step();
  // Goes on with the requests of a replay.
  void restore(const std::vector<RestoredRequest>& requests);

  Random& random() { return random_; }
  Reference& reference() { return reference_; }

 private:
  Random random_;
  Reference reference_;
  uint64_t next_id_ = 1;
  TimeUs now_us_ = 1'000'000;
};

}  // namespace trireme::journal
