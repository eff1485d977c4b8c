// The table of verbs: `trireme VERB [flags]`. One file a verb, clients/cli/verb_NAME.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/flags.h"
#include "clients/cli/terminal.h"

namespace trireme {

using Arguments = std::vector<std::string>;

struct Verb {
  const char* name;
  const char* summary;
  int (*run)(Terminal& terminal, const Arguments& arguments);
};

std::span<const Verb> verbs();

// The whole command line, without the program's name. Returns the exit status. TRI-ARGS-020: no
// such verb (names the nearest); TRI-ARGS-021: one that comes later.
int run_command_line(Terminal& terminal, const Arguments& arguments);

// Parses a verb's flags; a value means that the verb is over (help was shown, or errors). `rest`
// gets what is no flag; without it any such argument is TRI-ARGS-022.
std::optional<int> parse_flags(Terminal& terminal,
                               FlagSet& flags,
                               const Arguments& arguments,
                               Arguments* rest = nullptr);

int verb_up(Terminal& terminal, const Arguments& arguments);
int verb_run(Terminal& terminal, const Arguments& arguments);
int verb_verify(Terminal& terminal, const Arguments& arguments);
int verb_bench(Terminal& terminal, const Arguments& arguments);
int verb_plan(Terminal& terminal, const Arguments& arguments);
int verb_doctor(Terminal& terminal, const Arguments& arguments);
int verb_status(Terminal& terminal, const Arguments& arguments);
int verb_models(Terminal& terminal, const Arguments& arguments);
int verb_tokenize(Terminal& terminal, const Arguments& arguments);
int verb_detokenize(Terminal& terminal, const Arguments& arguments);
int verb_explain(Terminal& terminal, const Arguments& arguments);
int verb_version(Terminal& terminal, const Arguments& arguments);

}  // namespace trireme
