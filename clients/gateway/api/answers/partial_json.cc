#include "clients/gateway/api/answers/partial_json.h"

#include "base/json_check.h"

namespace trireme::gateway {
namespace {

bool is_object(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' &&
         check_json(text, "TRI-HTTP-020", "the arguments").ok();
}

// Walks through a text that may end anywhere. `end`: of the longest beginning after which the
// brackets that are open can be closed, which is after a bracket or before a comma.
struct Walk {
  size_t end = 0;
  std::string open;  // the closing brackets of those that are open at the end of the text

  explicit Walk(std::string_view text) {
    bool is_in_string = false;
    for (size_t at = 0; at < text.size(); ++at) {
      if (!is_in_string) {
        is_in_string = text[at] == '"';
        on_mark(text[at], at);
      } else if (text[at] == '\\') {
        ++at;
      } else if (text[at] == '"') {
        is_in_string = false;
      }
    }
  }

  void on_mark(char mark, size_t at) {
    switch (mark) {
      case '{':
      case '[':
        open += mark == '{' ? '}' : ']';
        end = at + 1;
        return;
      case '}':
      case ']':
        if (!open.empty()) open.pop_back();
        end = at + 1;
        return;
      case ',':
        end = at;
        return;
      default:
        return;
    }
  }
};

}  // namespace

std::string whole_object(std::string_view text) {
  if (is_object(text)) return std::string(text);
  const std::string_view beginning = text.substr(0, Walk(text).end);
  const Walk walk(beginning);
  std::string whole(beginning);
  whole.append(walk.open.rbegin(), walk.open.rend());
  return is_object(whole) ? whole : "{}";
}

}  // namespace trireme::gateway
