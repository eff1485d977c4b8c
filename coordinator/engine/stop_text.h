// Search for stop strings in streamed text: holds back the end of the text while it may be the
// start of a stop string.
#pragma once

#include <span>
#include <string>
#include <string_view>

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

  // Returns the held text, at the end of the answer.
  std::string take_rest();

 private:
  std::string held_;
};

}  // namespace trireme
