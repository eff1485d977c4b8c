// Ways to break a JSON file: as a tree that stays JSON, and as bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace trireme {

using Random = std::mt19937_64;

size_t below(Random& random, size_t bound);

// Changes one value at or below `top`: to another of the file or an odd one, two swapped, or one
// deleted.
void mutate_node(nlohmann::json& top, const std::vector<nlohmann::json>& odd, Random& random);

// Flips bits, cuts off, removes, doubles, or changes digits.
std::string mutate_bytes(std::string text, Random& random);

}  // namespace trireme
