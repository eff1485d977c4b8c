// The events of one stream that can be resumed, write by write: gives them their ids, and leaves
// out those that the client has. The writes up to the last of these are made again in the order
// that its id asks for; only then the others come. Pure; one per stream.
// Invariant: with equal writes a stream has equal events and ids, whatever the client has of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/gateway/event_position.h"

namespace trireme::gateway {

class EventTrail {
 public:
  // `after`: the last event that the client has; it has so many choices as well.
  EventTrail(size_t num_choices, std::optional<EventPosition> after)
      : written_(num_choices, 0), after_(std::move(after)) {}

  enum class Due : uint8_t {
    kNow,
    kLater,  // when has_caught_up(), or other choices are as far as they were
    kNever,  // the stream has no such event as the client names
  };
  Due due(const StreamWrite& write) const;

  // The write, which was due, was made. `events` are its events: those that the client has are
  // taken out, the others get their ids.
  void pass(const StreamWrite& write, std::string& events);

  // The events of the stream before this write, where the writer could not count them: in the part
  // that the client has, tokens come in other pieces than before.
  std::optional<int32_t> events_before(const StreamWrite& write) const;

  // The client has none of the events that come from here on.
  bool has_caught_up() const { return !after_; }

 private:
  bool ends_at_last_event(const StreamWrite& write) const;

  std::vector<int32_t> written_;  // per choice, as EventPosition::before
  int32_t total_ = 0;             // events of the stream
  std::optional<EventPosition> after_;
};

}  // namespace trireme::gateway
