// The tokenizer files of a model's folder: whether there is a tokenizer.json, and what to do where
// there is none. Pure functions of the file system; any thread.
#pragma once

#include <string>

namespace trireme {

struct TokenizerFiles {
  bool has_json = false;  // a tokenizer.json, readable or not
  // Without one: what was found instead and what to do, for "MODEL takes no text: ...".
  std::string missing = "it has no tokenizer.json";
  bool has_others = false;  // something was found, which is worth a warning
};

TokenizerFiles find_tokenizer_files(const std::string& dir);

}  // namespace trireme
