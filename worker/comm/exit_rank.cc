#include "worker/comm/exit_rank.h"

#include <unistd.h>

#include <cstdio>

namespace trireme {

void exit_rank(const Status& reason, int exit_status) {
  std::fprintf(stderr, "%s\n", message_of(reason).c_str());
  std::fflush(stderr);
  _exit(exit_status);
}

}  // namespace trireme
