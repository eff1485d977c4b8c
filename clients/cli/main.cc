// trireme: entry point of the command line.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "clients/cli/verbs.h"

// Opens /dev/null in place of closed standard streams: otherwise the next file or socket would get
// the number 0, 1 or 2, and answers would go into it. Read-only, so that a write fails.
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
