#include "model/chat/dialect/atoms.h"

#include <algorithm>

#include "model/chat/answer/marker_match.h"

namespace trireme {
namespace {

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The length of the tag at the begin of `text`; 0: there is none.
size_t tag_length(std::string_view text) {
  const char open = text[0];
  if (open != '<' && open != '[') return 0;
  const char close = open == '<' ? '>' : ']';
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == close) return i > 1 ? i + 1 : 0;
    const bool inside = is_word_byte(c) || c == '|' || c == '/' || c == '-' || c == '.' || c == ':';
    if (!inside) return 0;
  }
  return 0;
}

}  // namespace

std::vector<std::string_view> atoms_of(std::string_view text) {
  std::vector<std::string_view> atoms;
  while (!text.empty()) {
    size_t length = tag_length(text);
    while (length == 0 ||
           (length < text.size() && is_word_byte(text[0]) && is_word_byte(text[length]))) {
      ++length;
    }
    atoms.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return atoms;
}

size_t common_atom_prefix(std::string_view a, std::string_view b) {
  const auto first = atoms_of(a);
  const auto second = atoms_of(b);
  size_t bytes = 0;
  for (size_t i = 0; i < first.size() && i < second.size() && first[i] == second[i]; ++i) {
    bytes += first[i].size();
  }
  return bytes;
}

size_t common_atom_suffix(std::string_view a, std::string_view b) {
  const auto first = atoms_of(a);
  const auto second = atoms_of(b);
  size_t bytes = 0;
  for (size_t i = 1; i <= std::min(first.size(), second.size()); ++i) {
    if (first[first.size() - i] != second[second.size() - i]) break;
    bytes += first[first.size() - i].size();
  }
  return bytes;
}

}  // namespace trireme
