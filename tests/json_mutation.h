// Random mutations of a JSON file: of its tree, which stays valid JSON, and of its bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace trireme {

using Random = std::mt19937_64;

size_t below(Random& random, size_t bound);

// Changes one value at or below `top`: replaces it by another value of the file or by one of `odd`,
// swaps it with another, or deletes it.
void mutate_node(nlohmann::json& top, const std::vector<nlohmann::json>& odd, Random& random);

// Flips bits, truncates, removes or repeats bytes, or changes digits.
std::string mutate_bytes(std::string text, Random& random);

// One of these two, of the text of a JSON file.
std::string mutate_text(const std::string& text,
                        const std::vector<nlohmann::json>& odd,
                        Random& random);

}  // namespace trireme
