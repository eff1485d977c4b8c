// The same runs, twenty times as many seeds.
#define TRIREME_LONG_RUN
#include "tests/simulation/simulation_test.cc"
