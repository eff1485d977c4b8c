// Reads rendered probes back with the dialect that was found in them. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "model/chat/answer/answer_format.h"
#include "model/chat/dialect/probe_chat.h"

namespace trireme {

struct CheckedAnswer {
  ProbeAnswer wanted;
  bool any_kind = false;  // the template may write content beside calls as reasoning
  std::string text;       // rendered; ends with what ends every turn
};

// Calls with nested, empty, several and odd arguments, and beside content and reasoning.
std::vector<ProbeAnswer> call_probes(bool several_calls, bool reasoning);

// "" or the reason why an answer does not give itself.
std::string check_answers(const Dialect& dialect,
                          const std::vector<CheckedAnswer>& answers,
                          const std::string& content_tail);

// The format of the probes' answers, with the types of the probes' tools.
AnswerFormat probe_format(const Dialect& dialect);

}  // namespace trireme
