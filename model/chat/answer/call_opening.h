// Reads the begin of a tool call, up to its arguments, out of a text that may still grow. Pure
// functions: they begin anew with each longer text, which is short (kMaxCallOpeningBytes).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/chat/answer/answer_format.h"
#include "model/chat/answer/marker_match.h"

namespace trireme {

constexpr size_t kMaxCallOpeningBytes = 8192;
constexpr size_t kMaxToolNameBytes = 256;

enum class CallPlace {
  kFirst,     // section_open (if the dialect has one), then open; or only open
  kNext,      // open, within a section
  kHeadOnly,  // after `open`: the name comes next
};

struct CallOpening {
  MatchKind kind = MatchKind::kNo;
  size_t length = 0;  // bytes up to the arguments, or with `whole` of the whole call
  std::string name;
  bool in_section = false;
  int nesting = 0;     // kJsonObject: open objects around the arguments
  bool whole = false;  // the arguments are known: they were before the name, text, or not there
  std::string arguments;
};

// `text` begins with the marker. With `end` it does not grow, and the result is not kPartial.
CallOpening read_call_opening(const CallDialect& dialect,
                              std::string_view text,
                              CallPlace place,
                              bool end);

// The rest of the objects around the arguments.
MarkerMatch match_object_tail(const CallDialect& dialect, std::string_view text, int nesting);

// The length of the tool name at the begin of `text`.
size_t tool_name_length(std::string_view text);

}  // namespace trireme
