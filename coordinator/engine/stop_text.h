// Holds back the end of an answer's text as long as it may be the start of a stop string.
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

  // Adds `text` and returns what can be released now. If a stop string is complete, `found` names
  // the one that begins first (the longest among those), the text ends before it (with `include`:
  // after it) and nothing is held any more.
  std::string add(std::string_view text,
                  std::span<const std::string> stops,
                  bool include,
                  Found& found);

  // What is held, at the end of the answer.
  std::string take_rest();

 private:
  std::string held_;
};

}  // namespace trireme
