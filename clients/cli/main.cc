// trireme: entry point of the command line.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "clients/cli/verbs.h"

// The numbers of closed standard streams would go to the first files and sockets that are opened,
// and answers into them. Reading is allowed on their replacement, so that a write fails.
static void occupy_closed_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDONLY);
  }
}

int main(int argc, char** argv) {
  occupy_closed_streams();
  std::signal(SIGPIPE, SIG_IGN);  // writes to a closed pipe fail with EPIPE instead
  trireme::Terminal terminal(stdout, stderr);
  return terminal.finish(trireme::run_command_line(terminal, {argv + 1, argv + argc}));
}
