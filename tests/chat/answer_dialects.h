// Dialects written by hand, of kinds in use, with answers in them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/chat/answer/answer_format.h"

namespace trireme {

struct HandDialect {
  std::string name;
  std::shared_ptr<const AnswerFormat> format;
  std::vector<std::string> specials;
  std::vector<std::string> answers;  // well formed; material for mutations
};

// tags, list, function_tags, channels, opened, bare
std::vector<HandDialect> hand_dialects();
const HandDialect& hand_dialect(const std::string& name);

}  // namespace trireme
