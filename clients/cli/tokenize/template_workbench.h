// The workbench of a template's author (`tokenize --chat-template FILE --raw`): renders a template
// from lines of JSON, without a model and without any change to the messages. Main thread.
#pragma once

#include <string>

#include "base/status.h"
#include "clients/cli/terminal.h"

namespace trireme {

// A line of `messages_file`: {"messages": [...], "tools"?, "documents"?, "add_generation_prompt"?,
// "variables"?: {...}, "now"?: "2024-07-05T09:04:07"}. Prints {"text": ...} or {"error": {"type",
// "message", "line"?}} for each. Returns whether all lines were rendered. TRI-RUN-001: a file
// cannot be read; TRI-RUN-014: a line is malformed.
StatusOr<bool> render_lines(Terminal& terminal,
                            const std::string& template_file,
                            const std::string& messages_file);

}  // namespace trireme
