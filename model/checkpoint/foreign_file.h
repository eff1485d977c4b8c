// Recognises files of another kind in the place of a safetensors file, by their first bytes.
// Pure function.
#pragma once

#include <optional>
#include <string_view>

namespace trireme {

struct ForeignFile {
  const char* what;    // "a GGUF file"
  const char* remedy;  // "use the safetensors files of the model"
};

// Empty for a beginning that is not known.
std::optional<ForeignFile> foreign_file(std::string_view beginning);

}  // namespace trireme
