// Table of verbs: `trireme VERB [flags]`. One file per verb, clients/cli/verb_NAME.cc.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/flags.h"
#include "clients/cli/terminal.h"
#include "launch/process/process.h"

namespace trireme {

using Arguments = std::vector<std::string>;

struct Verb {
  const char* name;
  const char* summary;
  int (*run)(Terminal& terminal, const Arguments& arguments);
};

std::span<const Verb> verbs();

// Runs the whole command line, given without the program's name. Returns the exit status.
// TRI-ARGS-020: no such verb (names the nearest); TRI-ARGS-021: a verb of a later release.
int run_command_line(Terminal& terminal, const Arguments& arguments);

// Parses a verb's flags. Returns an exit status if the verb has nothing left to do: help was shown,
// or an error was reported. `rest` receives the arguments that are no flags; if it is null, such an
// argument is an error.
std::optional<int> parse_flags(Terminal& terminal,
                               FlagSet& flags,
                               const Arguments& arguments,
                               Arguments* rest = nullptr);

// TRI-ARGS-022: an argument that is not a flag of the verb.
Status unknown_argument(const std::string& word);

// Runs a verb's work while SIGINT and SIGTERM are counted instead of ending the program, and
// reports its error. Returns the work's exit status; after an error the status's, or kInterrupted
// if a signal came. Work that stopped with output_lost_error() ends as Terminal::finish() says.
int run_interruptible(Terminal& terminal, const std::function<StatusOr<int>(Interrupts&)>& work);

int verb_up(Terminal& terminal, const Arguments& arguments);
int verb_run(Terminal& terminal, const Arguments& arguments);
int verb_chat(Terminal& terminal, const Arguments& arguments);
int verb_verify(Terminal& terminal, const Arguments& arguments);
int verb_bench(Terminal& terminal, const Arguments& arguments);
int verb_plan(Terminal& terminal, const Arguments& arguments);
int verb_doctor(Terminal& terminal, const Arguments& arguments);
int verb_drain(Terminal& terminal, const Arguments& arguments);
int verb_status(Terminal& terminal, const Arguments& arguments);
int verb_models(Terminal& terminal, const Arguments& arguments);
int verb_tokenize(Terminal& terminal, const Arguments& arguments);
int verb_detokenize(Terminal& terminal, const Arguments& arguments);
int verb_explain(Terminal& terminal, const Arguments& arguments);
int verb_version(Terminal& terminal, const Arguments& arguments);

}  // namespace trireme
