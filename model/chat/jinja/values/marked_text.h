// A text that remembers for each byte whether the template wrote it or where else it stems from.
// Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace trireme {

enum class Origin : uint8_t {
  kTemplate,
  kMessage,    // messages, tools, documents, template arguments: no added token is recognised
  kAssistant,  // an assistant message: added tokens with `special: false` are recognised
};

struct OriginRange {
  size_t begin = 0;  // byte offsets
  size_t end = 0;    // one past the last
  Origin origin = Origin::kMessage;
  bool operator==(const OriginRange&) const = default;
};

struct TextRange {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const TextRange&) const = default;
};

struct MarkedText {
  std::string text;
  std::vector<OriginRange> origins;   // ascending; bytes of no range are the template's
  std::vector<TextRange> generation;  // {% generation %} blocks
};

}  // namespace trireme
