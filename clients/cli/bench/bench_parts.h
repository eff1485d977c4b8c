// The parts of `trireme bench`, one file each.
#pragma once

#include "clients/cli/verbs.h"

namespace trireme {

int bench_step(Terminal& terminal, const Arguments& arguments);
int bench_serve(Terminal& terminal, const Arguments& arguments);
int bench_report(Terminal& terminal, const Arguments& arguments);

}  // namespace trireme
