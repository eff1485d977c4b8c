// Recognises files of another kind that stand in the place of a model's file, by their first bytes.
// Pure function.
#pragma once

#include <optional>
#include <string_view>

namespace trireme {

struct ForeignFile {
  const char* what;    // "a Git LFS pointer, not the file itself"
  const char* remedy;  // "run `git lfs pull` in its folder"
};

// Empty for a beginning that is not known.
std::optional<ForeignFile> foreign_file(std::string_view beginning);

}  // namespace trireme
