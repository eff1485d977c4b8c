#include "clients/gateway/event_trail.h"

#include <string_view>
#include <utility>

namespace trireme::gateway {
namespace {

constexpr std::string_view kEventEnd = "\n\n";

// Whether the first of two places of a choice is not behind the second.
bool is_up_to(int32_t index, int32_t place) {
  if (place == door::kEndedIndex) return true;
  return index != door::kEndedIndex && index <= place;
}

}  // namespace

bool EventTrail::ends_at_last_event(const StreamWrite& write) const {
  return after_ && write == after_->write && written_ == after_->before;
}

EventTrail::Due EventTrail::due(const StreamWrite& write) const {
  if (write.choice == StreamWrite::kStart) return Due::kNow;
  if (write.choice >= std::ssize(written_)) return Due::kNever;
  if (!after_) return Due::kNow;
  const auto choice = static_cast<size_t>(write.choice);
  const int32_t place = after_->before[choice];
  if (is_up_to(write.index, place)) return Due::kNow;
  if (written_[choice] != place) return Due::kNever;  // it leads past the place
  if (written_ != after_->before) return Due::kLater;
  if (write == after_->write) return Due::kNow;
  return write.choice == after_->write.choice ? Due::kNever : Due::kLater;
}

std::optional<int32_t> EventTrail::events_before(const StreamWrite& write) const {
  if (!ends_at_last_event(write)) return std::nullopt;
  return after_->total - after_->num_events;
}

void EventTrail::pass(const StreamWrite& write, std::string& events) {
  const bool is_last = ends_at_last_event(write);
  EventPosition position{written_, write, 0, events_before(write).value_or(total_)};
  const std::string all = std::exchange(events, {});
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = all.find(kEventEnd, begin);
    const size_t next = end == std::string::npos ? all.size() : end + kEventEnd.size();
    const std::string_view event(all.data() + begin, next - begin);
    begin = next;
    ++position.num_events;
    ++position.total;
    const bool is_known = after_ && (!is_last || position.num_events <= after_->num_events);
    if (!is_known) events.append("id: ").append(event_id(position)).append("\n").append(event);
  }
  if (write.choice != StreamWrite::kStart) {
    written_[static_cast<size_t>(write.choice)] = write.index;
  }
  total_ = position.total;
  if (is_last) after_.reset();
}

}  // namespace trireme::gateway
