#include "tests/cluster/golden_case.h"

#include <cstring>

#include "model/safetensors.h"

namespace trireme {
namespace {

template <class T>
Status read_values(const SafetensorsFile& file,
                   const SafetensorsEntry& entry,
                   std::vector<T>& values) {
  values.resize(entry.tensor.bytes / sizeof(T));
  return file.read(entry.begin, std::as_writable_bytes(std::span(values)));
}

}  // namespace

StatusOr<std::vector<GoldenSequence>> load_golden(const std::string& path) {
  ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(path));
  std::map<std::string, GoldenSequence> sequences;
  for (const SafetensorsEntry& entry : file.entries()) {
    const size_t dot = entry.tensor.name.find('.');
    GoldenSequence& sequence = sequences[entry.tensor.name.substr(0, dot)];
    const std::string field = entry.tensor.name.substr(dot + 1);
    if (field == "input_ids") RETURN_IF_ERROR(read_values(file, entry, sequence.input_ids));
    if (field == "positions") RETURN_IF_ERROR(read_values(file, entry, sequence.positions));
    if (field == "logits") RETURN_IF_ERROR(read_values(file, entry, sequence.logits));
    if (field == "greedy") RETURN_IF_ERROR(read_values(file, entry, sequence.greedy));
    if (field == "greedy_margin") RETURN_IF_ERROR(read_values(file, entry, sequence.greedy_margin));
    if (field == "hidden_states") RETURN_IF_ERROR(read_values(file, entry, sequence.hidden_states));
    if (field == "bf16_max_abs") {
      std::vector<float> value;
      RETURN_IF_ERROR(read_values(file, entry, value));
      sequence.bf16_max_abs = value.at(0);
    }
  }
  std::vector<GoldenSequence> all;
  for (auto& [name, sequence] : sequences) {
    sequence.name = name;
    all.push_back(std::move(sequence));
  }
  return all;
}

}  // namespace trireme
