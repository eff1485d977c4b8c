// Search for stop strings in streamed text: holds back the end of the text while it may be the
// start of a stop string. The search covers two texts: with the hidden text, and without it (the
// text that is released). A stop string that is in either of them ends the answer.
// Invariant: between calls the held text is shorter than two of the longest stop string.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

class StopText {
 public:
  struct Found {
    std::string stop;  // "": none
  };

  // Adds `text` and returns the text that can be released. If a stop string is complete, `found`
  // names the one that begins first (among equals the longest), the returned text ends before it
  // (after it with `include`), and nothing is held any more.
  std::string add(std::string_view text,
                  std::span<const std::string> stops,
                  bool include,
                  Found& found);

  // The same for text that is searched and never released: a special token that is left out of the
  // answer. With `include`, the part of it that a match contains is released.
  std::string add_hidden(std::string_view text,
                         std::span<const std::string> stops,
                         bool include,
                         Found& found);

  // Returns the held text, at the end of the answer.
  std::string take_rest();

  size_t held_bytes() const { return held_.size(); }

 private:
  std::string search(std::span<const std::string> stops, bool include, Found& found);
  bool find_first(std::span<const std::string> stops,
                  std::string_view without_hidden,
                  size_t& first,
                  Found& found) const;
  std::string release(std::span<const std::string> stops, std::string_view without_hidden);
  std::string visible() const;
  size_t place_of(size_t visible_offset) const;
  std::string take_visible(size_t end);
  void drop_hidden(size_t end);

  std::string held_;
  std::vector<std::pair<size_t, size_t>> hidden_;  // ranges of held_, in order
  // A stop string that contains hidden text begins here or later in held_. The hidden text before
  // it has been removed.
  size_t searched_ = 0;
};

}  // namespace trireme
