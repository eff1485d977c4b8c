// Texts of templates as atoms: a tag (<...>, [...]), a word, or one other character. Two texts are
// compared by atoms, so that "<think>" and "<tool>" share nothing. Pure functions.
#pragma once

#include <string_view>
#include <vector>

namespace trireme {

std::vector<std::string_view> atoms_of(std::string_view text);

// The bytes of the atoms that both texts begin (end) with.
size_t common_atom_prefix(std::string_view a, std::string_view b);
size_t common_atom_suffix(std::string_view a, std::string_view b);

}  // namespace trireme
