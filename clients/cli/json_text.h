// JSON for stdout: one line per value. Pure function.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace trireme {

// The value on one line. Texts that are not UTF-8, such as names of files, are escaped (\xff).
std::string json_text(nlohmann::ordered_json json);

}  // namespace trireme
