#include "model/checkpoint/reference_outputs.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "model/checkpoint/safetensors.h"

namespace trireme {

namespace {

// The tensors of one sequence by field name, before they are read.
using Fields = std::map<std::string, const SafetensorsEntry*>;

Status wrong(const SafetensorsEntry& entry, const std::string& wanted) {
  return invalid("TRI-VERIFY-001",
                 "{} is {} [{}], it has to be {}; docs/formats.md describes the file",
                 entry.tensor.name,
                 name_of(entry.tensor.dtype),
                 join(entry.tensor.shape),
                 wanted);
}

class FieldReader {
 public:
  FieldReader(const SafetensorsFile& file, const Fields& fields) : file_(file), fields_(fields) {}

  // Reads a field of the given shape (-1: any length). An absent field leaves `values` empty.
  template <class T>
  Status read(const std::string& field,
              DType dtype,
              const std::vector<int64_t>& shape,
              std::vector<T>& values) const {
    const auto found = fields_.find(field);
    if (found == fields_.end()) return ok_status();
    const SafetensorsEntry& entry = *found->second;
    const bool fits = std::ranges::equal(entry.tensor.shape, shape, [](int64_t got, int64_t want) {
      return want < 0 || got == want;
    });
    if (entry.tensor.dtype != dtype || !fits) {
      return wrong(entry, format_text("{} [{}] (-1: any length)", name_of(dtype), join(shape)));
    }
    values.resize(entry.tensor.bytes / sizeof(T));
    return file_.read(entry.begin, std::as_writable_bytes(std::span(values)));
  }
  int64_t extent(const std::string& field, size_t axis) const {
    const auto found = fields_.find(field);
    if (found == fields_.end() || axis >= found->second->tensor.shape.size()) return 0;
    return found->second->tensor.shape[axis];
  }

 private:
  const SafetensorsFile& file_;
  const Fields& fields_;
};

Status check_positions(ReferenceSequence& sequence, int64_t rows, const std::string& path) {
  const auto length = static_cast<int64_t>(sequence.input_ids.size());
  if (sequence.positions.empty()) {
    for (int64_t row = 0; row < rows; ++row) {
      sequence.positions.push_back(static_cast<int32_t>(length - rows + row));
    }
  }
  for (const int32_t position : sequence.positions) {
    if (position >= 0 && position < length) continue;
    return invalid("TRI-VERIFY-001",
                   "{}: position {} of sequence \"{}\" is outside its {} tokens",
                   path,
                   position,
                   sequence.name,
                   length);
  }
  return ok_status();
}

StatusOr<ReferenceSequence> read_sequence(const SafetensorsFile& file,
                                          const std::string& name,
                                          const Fields& fields) {
  const FieldReader reader(file, fields);
  ReferenceSequence sequence;
  sequence.name = name;
  RETURN_IF_ERROR(reader.read("input_ids", DType::kInt32, {-1}, sequence.input_ids));
  if (sequence.input_ids.empty()) {
    return invalid("TRI-VERIFY-001",
                   "{} has no input_ids for sequence \"{}\"; docs/formats.md describes the file",
                   file.path(),
                   name);
  }
  const auto tokens = static_cast<int64_t>(sequence.input_ids.size());
  const int64_t rows = reader.extent("logits", 0);
  sequence.vocabulary = reader.extent("logits", 1);
  sequence.hidden_rows = reader.extent("hidden_states", 0);
  sequence.hidden_size = reader.extent("hidden_states", 2);
  RETURN_IF_ERROR(reader.read("logits", DType::kFloat32, {-1, -1}, sequence.logits));
  RETURN_IF_ERROR(reader.read("positions", DType::kInt32, {rows}, sequence.positions));
  RETURN_IF_ERROR(check_positions(sequence, rows, file.path()));
  RETURN_IF_ERROR(reader.read("greedy", DType::kInt32, {-1}, sequence.greedy));
  const auto greedy = static_cast<int64_t>(sequence.greedy.size());
  RETURN_IF_ERROR(reader.read("greedy_margin", DType::kFloat32, {greedy}, sequence.greedy_margin));
  RETURN_IF_ERROR(
      reader.read("hidden_states", DType::kFloat32, {-1, tokens, -1}, sequence.hidden_states));
  std::vector<float> error;
  RETURN_IF_ERROR(reader.read("bf16_max_abs", DType::kFloat32, {1}, error));
  if (!error.empty()) sequence.bf16_max_abs = error.front();
  return sequence;
}

}  // namespace

float ReferenceSequence::largest_logit() const {
  float largest = 0;
  for (const float logit : logits) largest = std::max(largest, std::abs(logit));
  return largest;
}

float ReferenceSequence::tolerance(DType compute) const {
  if (compute == DType::kFloat32) return kFloat32Tolerance * largest_logit();
  if (compute == DType::kFloat16) return kFloat16Tolerance * largest_logit();
  return bf16_max_abs > 0 ? kBFloat16Factor * bf16_max_abs : kBFloat16Tolerance * largest_logit();
}

StatusOr<std::vector<ReferenceSequence>> read_reference_outputs(const std::string& path) {
  ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(path));
  std::map<std::string, Fields> by_name;
  for (const SafetensorsEntry& entry : file.entries()) {
    const size_t dot = entry.tensor.name.find('.');
    const bool named = dot != std::string::npos;
    by_name[named ? entry.tensor.name.substr(0, dot) : ""]
           [named ? entry.tensor.name.substr(dot + 1) : entry.tensor.name] = &entry;
  }
  std::vector<ReferenceSequence> sequences;
  for (const auto& [name, fields] : by_name) {
    ASSIGN_OR_RETURN(ReferenceSequence sequence, read_sequence(file, name, fields));
    sequences.push_back(std::move(sequence));
  }
  if (!sequences.empty()) return sequences;
  return invalid(
      "TRI-VERIFY-001", "{} holds no sequence; docs/formats.md describes the file", path);
}

std::optional<size_t> first_difference(const std::vector<TokenId>& expected,
                                       const std::vector<TokenId>& got) {
  const size_t compared = std::min(expected.size(), got.size());
  for (size_t i = 0; i < compared; ++i) {
    if (expected[i] != got[i]) return i;
  }
  return std::nullopt;
}

}  // namespace trireme
