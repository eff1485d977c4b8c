// The facts about a checkpoint that `models` shows. Main thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "clients/cli/terminal.h"
#include "model/checkpoint/model_source.h"

namespace trireme {

// From the config and the headers of the tensors.
nlohmann::ordered_json describe(const ModelSource& source);

// From the chat template, which is read and probed: {"available", "reason"?} and, where it is
// available, {"tools", "no_tools"?, "reasoning", "parts", "description"}.
nlohmann::ordered_json describe_chat(const ModelSource& source);

// Both as lines of a table; `description` is describe() with describe_chat() as "chat".
void print_description(Terminal& terminal, const nlohmann::ordered_json& description);

std::string short_count(int64_t count);  // "1.5 B"
std::string padded(std::string text, size_t width);

}  // namespace trireme
