#include "model/checkpoint/tensor_check.h"

#include <set>

#include "base/text.h"
#include "model/checkpoint/tensor_names.h"

namespace trireme {

namespace {

constexpr size_t kShownUnused = 3;

struct Findings {
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;  // parts of the decoder
  std::vector<std::string> unused;
  bool has_layers = false;  // at least one tensor of them
};

std::string shape_text(const std::vector<int64_t>& shape) {
  return format_text("[{}]", join(shape));
}

// Integers of these widths hold packed or scaled weights.
bool is_quantised(DType dtype) {
  if (bits_of(dtype) < 8) return true;
  switch (dtype) {
    case DType::kInt8:
    case DType::kUint8:
    case DType::kInt16:
    case DType::kUint16:
    case DType::kInt32:
    case DType::kUint32:
    case DType::kF8E4M3:
    case DType::kF8E5M2:
    case DType::kF8E8M0:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2FNUZ:
      return true;
    default:
      return false;
  }
}

// The type comes first: quantised weights often have another shape, too.
Status check_one(const TensorEntry& expected, const StoredTensor& stored) {
  const std::string name = shown_name(stored.name);
  if (is_quantised(stored.dtype)) {
    return invalid("TRI-LOAD-009",
                   "tensor \"{}\": quantised weights ({}) are not supported, use the bf16 one",
                   name,
                   name_of(stored.dtype));
  }
  if (!is_weight_dtype(stored.dtype)) {
    return invalid("TRI-LOAD-009",
                   "tensor \"{}\" is stored as {}, allowed are bfloat16, float16 and float32; use "
                   "the bf16 checkpoint",
                   name,
                   name_of(stored.dtype));
  }
  const std::vector<int64_t> shape = expected.is_vector
                                         ? std::vector<int64_t>{expected.rows}
                                         : std::vector<int64_t>{expected.rows, expected.columns};
  if (stored.shape == shape) return ok_status();
  return invalid("TRI-LOAD-008",
                 "tensor \"{}\" has the shape {}, config.json requires {}; use the config.json "
                 "and the weights of one model",
                 name,
                 shape_text(stored.shape),
                 shape_text(shape));
}

// Head or embedding alone is missing, and the other one could serve for both.
Status missing_by_tying(const TensorTable& table, const std::string& missing) {
  const bool is_head = missing == table.stored_names().head;
  return invalid("TRI-LOAD-007",
                 "{} is missing; if the {} is the {}, set \"tie_word_embeddings\": true in "
                 "config.json",
                 shown_name(missing),
                 is_head ? "head" : "embedding",
                 is_head ? "embedding" : "head");
}

Status missing_tensors(const TensorTable& table, const Findings& found) {
  const std::vector<std::string>& missing = found.missing;
  const StoredNames& names = table.stored_names();
  const bool is_untied = table.find(TensorRole::kHead) != nullptr;
  if (missing.size() == 1 && is_untied &&
      (missing[0] == names.head || missing[0] == names.embedding)) {
    return missing_by_tying(table, missing[0]);
  }
  // Without any tensor of the layers, the names of the others show what the files hold.
  std::vector<std::string> others = found.unexpected;
  if (!found.has_layers) others.insert(others.end(), found.unused.begin(), found.unused.end());
  const std::string cause = cause_of_unexpected(others);
  return invalid(
      "TRI-LOAD-007",
      "{} missing from the checkpoint: {}; {}{}",
      missing.size() == 1 ? std::string("a tensor is")
                          : format_text("{} tensors are", missing.size()),
      shown_names(missing),
      others.empty() ? "" : format_text("stored instead: {}; ", shown_names(others)),
      cause.empty() ? "a shard is missing, or config.json belongs to another model" : cause);
}

StatusOr<std::vector<std::string>> check_all(const TensorTable& table,
                                             const Checkpoint& checkpoint) {
  std::set<std::string> expected;
  Findings found;
  for (const TensorEntry& entry : table.entries()) {
    const StoredTensor* stored = nullptr;
    for (const std::string& name : entry.names) {
      expected.insert(name);
      if (stored == nullptr) stored = checkpoint.find(name);
    }
    if (stored == nullptr) {
      found.missing.push_back(entry.names.front());
    } else {
      RETURN_IF_ERROR(check_one(entry, *stored));
      if (entry.layer >= 0) found.has_layers = true;
    }
  }
  const StoredNames& names = table.stored_names();
  if (table.find(TensorRole::kHead) == nullptr) expected.insert(names.head);  // a copy, if stored
  expected.insert(names.head_copies.begin(), names.head_copies.end());
  for (const std::string& name : checkpoint.names()) {
    if (expected.contains(name)) continue;
    const bool is_part = is_of_decoder(name, names) && !is_harmless(*checkpoint.find(name));
    (is_part ? found.unexpected : found.unused).push_back(name);
  }
  if (!found.missing.empty()) return missing_tensors(table, found);
  if (found.unexpected.empty()) return found.unused;
  const std::string cause = cause_of_unexpected(found.unexpected);
  return invalid("TRI-LOAD-021",
                 "{} not expected by config.json: {}; {}",
                 found.unexpected.size() == 1
                     ? std::string("a stored tensor of the decoder is")
                     : format_text("{} stored tensors of the decoder are", found.unexpected.size()),
                 shown_names(found.unexpected),
                 cause.empty() ? "config.json is of another model, or lacks the key that announces "
                                 "such tensors"
                               : cause);
}

}  // namespace

StatusOr<std::vector<std::string>> check_tensors(const TensorTable& table,
                                                 const Checkpoint& checkpoint) {
  auto unused = check_all(table, checkpoint);
  const std::string choice = checkpoint.choice_of_files();
  if (unused.ok() || choice.empty()) return unused;
  return Status(unused.status().code(), format_text("{}; {}", message_of(unused.status()), choice));
}

std::string unused_warning(const std::vector<std::string>& unused) {
  if (unused.empty()) return "";
  return format_text("{} tensor{} of the checkpoint {} not used: {}",
                     unused.size(),
                     unused.size() == 1 ? "" : "s",
                     unused.size() == 1 ? "is" : "are",
                     shown_names(unused, kShownUnused));
}

}  // namespace trireme
