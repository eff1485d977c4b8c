// Makes one self-contained HTML page and a CSV table from saved bench results. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "clients/cli/bench/saved_results.h"

namespace trireme {

std::string report_page(const std::vector<SavedRun>& runs);

// One line per result: the run's fields first; nested fields are named "ttft_ms.p50".
std::string report_csv(const std::vector<SavedRun>& runs);

}  // namespace trireme
