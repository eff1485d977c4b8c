// Room in the journal that is promised to requests. A request has room for its acceptance and its
// end from its acceptance on, and for what it may generate from its first run on. Plain sums: how
// much room there is, JournalLog knows. Used by one thread.
#pragma once

#include <cstdint>
#include <map>

#include "coordinator/engine/submit_request.h"
#include "coordinator/journal/worst_case.h"

namespace trireme::journal {

class Reservations {
 public:
  // Of a new request. `runs`: it has run before, so it has room for everything.
  void add(const RequestId& id, const WorstCase& bytes, bool runs);
  // The room that it lacks before it may run; 0: none, also if it has been released.
  int64_t lacks(const RequestId& id) const;
  // It gets what it lacks.
  void complete(const RequestId& id);
  // False: it had nothing.
  bool release(const RequestId& id);

  int64_t bytes() const { return bytes_; }  // of all requests
  int64_t num_requests() const { return static_cast<int64_t>(requests_.size()); }

 private:
  struct Room {
    int64_t bytes = 0;
    int64_t lacks = 0;
  };
  std::map<RequestId, Room> requests_;
  int64_t bytes_ = 0;
};

}  // namespace trireme::journal
