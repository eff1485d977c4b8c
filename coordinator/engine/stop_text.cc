#include "coordinator/engine/stop_text.h"

#include <algorithm>
#include <utility>

namespace trireme {

namespace {

// Length of the longest proper prefix of `stop` that is a suffix of `text`.
size_t overlap(const std::string& text, const std::string& stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.compare(text.size() - length, length, stop, 0, length) == 0) return length;
  }
  return 0;
}

}  // namespace

std::string StopText::add(std::string_view text,
                          std::span<const std::string> stops,
                          bool include,
                          Found& found) {
  if (stops.empty()) return std::string(text);
  held_ += text;
  size_t first = std::string::npos;
  for (const std::string& stop : stops) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (at < first || (at == first && stop.size() > found.stop.size())) {
      first = at;
      found.stop = stop;
    }
  }
  if (first != std::string::npos) {
    std::string released = held_.substr(0, first + (include ? found.stop.size() : 0));
    held_.clear();
    return released;
  }
  size_t keep = 0;
  for (const std::string& stop : stops) keep = std::max(keep, overlap(held_, stop));
  std::string released = held_.substr(0, held_.size() - keep);
  held_.erase(0, released.size());
  return released;
}

std::string StopText::take_rest() { return std::exchange(held_, {}); }

}  // namespace trireme
