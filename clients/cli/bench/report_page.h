// One self-contained HTML page, and a CSV table, out of saved bench results.
#pragma once

#include <string>
#include <vector>

#include "clients/cli/bench/saved_results.h"

namespace trireme {

std::string report_page(const std::vector<SavedRun>& runs);

// One line a result; the run's fields first, nested ones as "ttft_ms.p50".
std::string report_csv(const std::vector<SavedRun>& runs);

}  // namespace trireme
