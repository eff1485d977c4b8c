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
  return search(stops, include, found);
}

std::string StopText::add_hidden(std::string_view text,
                                 std::span<const std::string> stops,
                                 bool include,
                                 Found& found) {
  if (stops.empty()) return {};
  hidden_.emplace_back(held_.size(), held_.size() + text.size());
  held_ += text;
  return search(stops, include, found);
}

std::string StopText::search(std::span<const std::string> stops, bool include, Found& found) {
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
    std::string released = take_visible(first);
    if (include) released += found.stop;
    held_.clear();
    hidden_.clear();
    return released;
  }
  size_t keep = 0;
  for (const std::string& stop : stops) keep = std::max(keep, overlap(held_, stop));
  return take_visible(held_.size() - keep);
}

// Removes the first `end` bytes of the held text and returns those that are not hidden.
std::string StopText::take_visible(size_t end) {
  std::string visible;
  size_t from = 0;
  size_t num_over = 0;  // ranges that lie before `end`
  for (auto& [begin, stop] : hidden_) {
    if (from < end) visible.append(held_, from, std::min(begin, end) - from);
    from = std::max(from, std::min(stop, end));
    if (stop <= end) ++num_over;
    begin -= std::min(begin, end);
    stop -= std::min(stop, end);
  }
  if (from < end) visible.append(held_, from, end - from);
  hidden_.erase(hidden_.begin(), hidden_.begin() + static_cast<std::ptrdiff_t>(num_over));
  held_.erase(0, end);
  return visible;
}

std::string StopText::take_rest() { return take_visible(held_.size()); }

}  // namespace trireme
