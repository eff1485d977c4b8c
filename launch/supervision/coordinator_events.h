// Parser of the coordinator's event lines, one JSON object per line of its stdout
// (docs/formats.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace trireme {

struct CoordinatorEvent {
  enum class Kind : uint8_t {
    kDoors,
    kAlive,
    kRank,
    kLoading,
    kHello,
    kGroupReady,
    kGroupLost,
    kNoChat,
    kDraining,
    kDrained,
    kStopped,
    kError,
  };
  Kind kind = Kind::kError;
  int group = 0;
  int rank = -1;
  std::string host;
  int64_t pid = 0;
  std::string phase;
  std::string id;
  std::string text;  // cause or message
  bool was_ready = false;
  bool memory = false;  // the cause is a lack of memory
  int64_t steps = 0;    // that a lost group had completed since it was ready
  int64_t loaded_bytes = 0;
  int64_t total_bytes = 0;
  std::string client_endpoint;
  std::string worker_endpoint;
  std::string worker_key_file;
  int tp = 0;
  int pp = 0;
  int64_t pages = 0;
  int64_t page_tokens = 0;
  int64_t max_model_len = 0;
  int64_t asked_model_len = 0;
  std::string backend;
  std::string dtype;
  std::string isa;
};

// Nothing if the line is not an event of a known kind: newer coordinators may send more kinds.
// Fields that are missing or of another type keep their defaults.
std::optional<CoordinatorEvent> parse_coordinator_event(const std::string& line);

}  // namespace trireme
