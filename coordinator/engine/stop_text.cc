#include "coordinator/engine/stop_text.h"

#include <algorithm>
#include <utility>

namespace trireme {

namespace {

// Length of the longest proper prefix of `stop` that is a suffix of `text`.
size_t overlap(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.ends_with(stop.substr(0, length))) return length;
  }
  return 0;
}

}  // namespace

std::string StopText::add(std::string_view text,
                          std::span<const std::string> stops,
                          bool include,
                          Found& found) {
  if (stops.empty()) return take_rest().append(text);
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
  const std::string without_hidden = visible();
  size_t first = std::string::npos;
  if (!find_first(stops, without_hidden, first, found)) return release(stops, without_hidden);
  std::string released = take_visible(first);
  if (include) released += found.stop;
  held_.clear();
  hidden_.clear();
  searched_ = 0;
  return released;
}

// The first complete stop string of either text, the longest of equals: `first` is its offset in
// held_.
bool StopText::find_first(std::span<const std::string> stops,
                          std::string_view without_hidden,
                          size_t& first,
                          Found& found) const {
  for (const std::string& stop : stops) {
    const size_t at = held_.find(stop, searched_);
    const size_t visible_at = without_hidden.find(stop);
    const bool is_visible = visible_at != std::string::npos;
    const size_t begin = std::min(at, is_visible ? place_of(visible_at) : std::string::npos);
    if (begin == std::string::npos) continue;
    if (begin < first || (begin == first && stop.size() > found.stop.size())) {
      first = begin;
      found.stop = stop;
    }
  }
  return first != std::string::npos;
}

// Holds back the end of either text that may begin a stop string, and releases the text before it.
std::string StopText::release(std::span<const std::string> stops, std::string_view without_hidden) {
  const std::string_view with_hidden = std::string_view(held_).substr(searched_);
  size_t keep = 0;
  size_t visible_keep = 0;
  for (const std::string& stop : stops) {
    keep = std::max(keep, overlap(with_hidden, stop));
    visible_keep = std::max(visible_keep, overlap(without_hidden, stop));
  }
  searched_ = held_.size() - keep;
  const size_t end = std::min(searched_, place_of(without_hidden.size() - visible_keep));
  std::string released = take_visible(end);
  drop_hidden(searched_ - end);
  return released;
}

// held_ without the hidden ranges.
std::string StopText::visible() const {
  std::string text;
  size_t from = 0;
  for (const auto& [begin, end] : hidden_) {
    text.append(held_, from, begin - from);
    from = end;
  }
  return text.append(held_, from);
}

// The offset in held_ of a byte of visible().
size_t StopText::place_of(size_t visible_offset) const {
  size_t place = visible_offset;
  for (const auto& [begin, end] : hidden_) {
    if (begin <= place) place += end - begin;
  }
  return place;
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

// Removes the hidden bytes among the first `end` of held_, so that hidden text without an end holds
// no memory; the rest is where a stop string with hidden text may begin.
void StopText::drop_hidden(size_t end) {
  const std::string kept = take_visible(end);
  held_.insert(0, kept);
  for (auto& [begin, stop] : hidden_) {
    begin += kept.size();
    stop += kept.size();
  }
  searched_ = kept.size();
}

std::string StopText::take_rest() {
  searched_ = 0;
  return take_visible(held_.size());
}

}  // namespace trireme
