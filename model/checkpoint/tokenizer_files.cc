#include "model/checkpoint/tokenizer_files.h"

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "base/utf8.h"
#include "model/file_text.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

// Vocabularies of other libraries.
constexpr std::string_view kOthers[] = {"tokenizer.model",
                                        "tokenizer.model.v3",
                                        "tokenizer.model.v7",
                                        "spiece.model",
                                        "sentencepiece.bpe.model",
                                        "vocab.json",
                                        "merges.txt",
                                        "vocab.txt",
                                        "vocab.bpe",
                                        "encoder.json",
                                        "tekken.json",
                                        "tiktoken.model",
                                        "qwen.tiktoken"};

std::string link_to_nowhere(const fs::path& path) {
  std::error_code error;
  const std::string target = to_utf8_lossy(fs::read_symlink(path, error).string());
  return format_text(
      "tokenizer.json is a link that leads nowhere (an interrupted download): {} is not there; "
      "fetch the model again",
      target);
}

}  // namespace

TokenizerFiles find_tokenizer_files(const std::string& dir) {
  TokenizerFiles files;
  const fs::path folder(dir);
  std::error_code error;
  files.has_json = fs::exists(folder / "tokenizer.json", error);
  if (files.has_json) {
    files.missing.clear();
    return files;
  }
  if (is_broken_link(folder / "tokenizer.json")) {
    files.has_others = true;
    files.missing = link_to_nowhere(folder / "tokenizer.json");
    return files;
  }
  std::vector<std::string_view> found;
  for (const std::string_view name : kOthers) {
    if (is_there(folder / name)) found.push_back(name);
  }
  if (found.empty()) return files;
  files.has_others = true;
  files.missing = format_text(
      "{} {} not read; make tokenizer.json with transformers' "
      "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
      join(found),
      found.size() == 1 ? "is" : "are");
  return files;
}

}  // namespace trireme
