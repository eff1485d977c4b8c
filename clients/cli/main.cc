// trireme: entry point of the command line.
#include <csignal>
#include <cstdio>

#include "clients/cli/verbs.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // writes to a closed pipe fail with EPIPE instead
  trireme::Terminal terminal(stdout, stderr);
  return terminal.finish(trireme::run_command_line(terminal, {argv + 1, argv + argc}));
}
