// Recognises markers in a text that may still grow. Pure functions.
#pragma once

#include <cstddef>
#include <string_view>

namespace trireme {

inline bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

enum class MatchKind { kNo, kPartial, kFull };

struct MarkerMatch {
  MatchKind kind = MatchKind::kNo;
  size_t length = 0;  // kFull: bytes of text
};

// White space that an answer may have around and inside of markers: more is content, so that little
// text waits for a decision.
constexpr size_t kMaxMarkerBlanks = 1024;

// Whether `text` begins with `core`. White space inside `core` matches any white space of up to
// kMaxMarkerBlanks, even none.
// kPartial: the text is too short to tell.
MarkerMatch match_core(std::string_view core, std::string_view text);

// The number of blanks at the begin of `text`; marker_blanks stops after kMaxMarkerBlanks + 1.
size_t count_blanks(std::string_view text);
size_t marker_blanks(std::string_view text);

// The length of the longest end of `text` that is an end of `blanks`.
size_t common_end(std::string_view text, std::string_view blanks);

}  // namespace trireme
