#include "model/chat/answer/marker_match.h"

#include "model/chat/answer/answer_format.h"

namespace trireme {

Marker make_marker(std::string_view literal) {
  size_t begin = count_blanks(literal);
  size_t end = literal.size();
  while (end > begin && is_blank(literal[end - 1])) --end;
  if (begin == literal.size()) begin = 0;  // white space only: all of it stands after
  const std::string_view core = end > begin ? literal.substr(begin, end - begin) : "";
  if (core.empty() || end <= count_blanks(literal)) return {"", "", std::string(literal)};
  return {
      std::string(literal.substr(0, begin)), std::string(core), std::string(literal.substr(end))};
}

MarkerMatch match_core(std::string_view core, std::string_view text) {
  size_t at = 0;
  for (size_t i = 0; i < core.size(); ++i) {
    if (is_blank(core[i])) {
      const size_t blanks = marker_blanks(text.substr(at));
      if (blanks > kMaxMarkerBlanks) return {MatchKind::kNo, 0};
      at += blanks;
      continue;
    }
    if (at == text.size()) return {MatchKind::kPartial, 0};
    if (text[at] != core[i]) return {MatchKind::kNo, 0};
    ++at;
  }
  return {MatchKind::kFull, at};
}

size_t count_blanks(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && is_blank(text[n])) ++n;
  return n;
}

size_t marker_blanks(std::string_view text) {
  return count_blanks(text.substr(0, kMaxMarkerBlanks + 1));
}

size_t common_end(std::string_view text, std::string_view blanks) {
  size_t n = 0;
  while (n < text.size() && n < blanks.size() &&
         text[text.size() - 1 - n] == blanks[blanks.size() - 1 - n]) {
    ++n;
  }
  return n;
}

}  // namespace trireme
