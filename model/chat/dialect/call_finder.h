// Finds the markers of tool calls in rendered answers. Pure functions of the texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/chat/answer/answer_format.h"

namespace trireme {

// Answers that consist of calls alone; `content_tail`: the text after the content of an answer
// without calls, which ends a turn.
struct CallTexts {
  std::string two_arguments;  // zq_first with zq_key and zq_last, which are texts
  std::string two_calls;      // zq_first and zq_other, each with zq_key; "": not possible
  std::string content_tail;
};

// The values of the probes' arguments.
inline constexpr std::string_view kProbeValue = "zq value";
inline constexpr std::string_view kProbeLastValue = "zq end";
std::string probe_two_arguments();
std::string probe_one_argument();

struct FoundCalls {
  CallDialect calls;
  bool several = false;
  std::string fault;  // why calls cannot be read, or ""
};

FoundCalls find_calls(const CallTexts& texts);

}  // namespace trireme
