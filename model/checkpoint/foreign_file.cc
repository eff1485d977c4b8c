#include "model/checkpoint/foreign_file.h"

namespace trireme {

namespace {

using namespace std::string_view_literals;

struct Beginning {
  std::string_view bytes;
  ForeignFile file;
};

constexpr Beginning kBeginnings[] = {
    {"<"sv, {"a page of HTML or XML", "fetch the file again, logged in if it is gated"}},
    {"PK\x03\x04"sv,
     {"a zip archive (PyTorch weights?)", "use the safetensors files of the model"}},
    {"GGUF"sv, {"a GGUF file", "use the safetensors files of the model"}},
};

}  // namespace

std::optional<ForeignFile> foreign_file(std::string_view beginning) {
  for (const Beginning& known : kBeginnings) {
    if (beginning.starts_with(known.bytes)) return known.file;
  }
  return std::nullopt;
}

}  // namespace trireme
