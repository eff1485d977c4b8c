// Whether a request can be answered now: judged by the coordinator's Pong, which is asked for every
// second. Pure state over times given by the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

class DoorHealth {
 public:
  struct Verdict {
    bool ready = false;
    std::string status;  // "ok", "unreachable", "draining", "silent", "loading" or "unhealthy"
    std::string reason;  // for people; "" if ready
    int64_t loaded_bytes = 0;
    int64_t total_bytes = 0;
    std::optional<double> eta_s;  // of the load; not known at its beginning
  };

  void on_connected(TimeUs now_us);
  void on_lost(std::string reason);
  void on_pong(const door::Pong& pong, TimeUs now_us);
  void on_status(const door::StatusReply& status, TimeUs now_us);
  void drain() { drains_ = true; }
  // This process stood still for so long.
  void forgive(TimeUs gap_us) { pong_us_ += gap_us; }

  bool drains() const { return drains_; }
  Verdict verdict(TimeUs now_us) const;
  // No Pong for so long that no answer can be expected.
  bool is_silent(TimeUs now_us) const;

 private:
  bool connected_ = false;
  bool drains_ = false;
  std::string lost_reason_ = "the gateway has not reached the coordinator yet";
  std::optional<door::Pong> pong_;
  TimeUs pong_us_ = 0;  // of the Pong, or of the connection
  int64_t loaded_bytes_ = 0;
  int64_t total_bytes_ = 0;
  // The first sight of this load, for its rate.
  std::optional<TimeUs> load_began_us_;
  int64_t load_began_bytes_ = 0;
  TimeUs load_seen_us_ = 0;
};

}  // namespace trireme::gateway
