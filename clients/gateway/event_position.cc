#include "clients/gateway/event_position.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {
namespace {

constexpr size_t kLongestShown = 100;

std::string index_text(int32_t index) {
  return index == door::kEndedIndex ? "e" : std::to_string(index);
}

// Takes an index off the front of `text`.
std::optional<int32_t> take_index(std::string_view& text) {
  if (text.starts_with('e')) {
    text.remove_prefix(1);
    return door::kEndedIndex;
  }
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

bool take(char byte, std::string_view& text) {
  if (!text.starts_with(byte)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<StreamWrite> take_write(std::string_view& text) {
  if (take('s', text)) return StreamWrite();
  const std::optional<int32_t> choice = take_index(text);
  if (!choice || !take('-', text)) return std::nullopt;
  const std::optional<int32_t> index = take_index(text);
  if (!index) return std::nullopt;
  return StreamWrite{*choice, *index};
}

std::optional<EventPosition> take_position(std::string_view text) {
  EventPosition position;
  do {
    const std::optional<int32_t> index = take_index(text);
    if (!index || position.before.size() == kMaxResumableChoices) return std::nullopt;
    position.before.push_back(*index);
  } while (take(',', text));
  if (!take(';', text)) return std::nullopt;
  const std::optional<StreamWrite> write = take_write(text);
  if (!write || !take('.', text)) return std::nullopt;
  position.write = *write;
  const std::optional<int32_t> num_events = take_index(text);
  if (!num_events || *num_events < 1 || !take('/', text)) return std::nullopt;
  position.num_events = *num_events;
  const std::optional<int32_t> total = take_index(text);
  if (!total || *total < *num_events || !text.empty()) return std::nullopt;
  position.total = *total;
  return position;
}

// Whether a stream can have such a write at such a place.
bool is_possible(const EventPosition& position) {
  const StreamWrite& write = position.write;
  if (write.choice == StreamWrite::kStart) {
    return std::ranges::all_of(position.before, [](int32_t index) { return index == 0; });
  }
  if (write.choice < 0 || write.choice >= std::ssize(position.before)) return false;
  const int32_t before = position.before[static_cast<size_t>(write.choice)];
  return before != door::kEndedIndex && (write.index == door::kEndedIndex || write.index > before);
}

}  // namespace

std::string event_id(const EventPosition& position) {
  std::string text;
  for (const int32_t index : position.before) {
    if (!text.empty()) text += ',';
    text += index_text(index);
  }
  const StreamWrite& write = position.write;
  const std::string name = write.choice == StreamWrite::kStart
                               ? "s"
                               : format_text("{}-{}", write.choice, index_text(write.index));
  return format_text("{};{}.{}/{}", text, name, position.num_events, position.total);
}

StatusOr<EventPosition> read_event_id(std::string_view text) {
  std::optional<EventPosition> position = take_position(text);
  // Written again, so that a number has one form.
  if (position && is_possible(*position) && event_id(*position) == text) return *position;
  return invalid("TRI-HTTP-034",
                 "Last-Event-ID is \"{}\", which is no id of an event; send the last one that "
                 "came, or leave the header out to get all events",
                 text.substr(0, kLongestShown));
}

std::vector<door::AnswerPoint> points_of(const EventPosition& position,
                                         int32_t prompt,
                                         int32_t num_prompts) {
  const int32_t num_choices = static_cast<int32_t>(position.before.size()) / num_prompts;
  const int32_t first = prompt * num_choices;
  std::vector<door::AnswerPoint> points;
  for (int32_t choice = 0; choice < num_choices; ++choice) {
    const int32_t index = position.before[static_cast<size_t>(first) + static_cast<size_t>(choice)];
    if (index != 0) points.push_back({choice, index});
  }
  const int32_t written = position.write.choice - first;
  if (position.write.choice != StreamWrite::kStart && written >= 0 && written < num_choices) {
    points.push_back({written, position.write.index});
  }
  return points;
}

}  // namespace trireme::gateway
