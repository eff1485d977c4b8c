#include "model/checkpoint/stored_names.h"

#include <algorithm>

#include "model/checkpoint/tensor_names.h"

namespace trireme {

namespace {

constexpr int64_t kBlockBytes = int64_t{4} << 20;  // of each of two compared tensors
constexpr std::string_view kEmbedding = "embed_tokens.weight";
constexpr std::string_view kFirstNorm = "layers.0.input_layernorm.weight";
constexpr std::string_view kHead = "lm_head.weight";

Status mixture(const std::string& one, const std::string& other) {
  return invalid(
      "TRI-LOAD-020",
      "tensors {} and {} have different prefixes, a checkpoint has one; keep the files of "
      "one save of the model",
      shown_name(one),
      shown_name(other));
}

// The tensor whose prefix is that of the decoder: the embedding, else the first norm, else any
// weight of the decoder. Empty if there is none.
std::string find_anchor(const std::vector<std::string>& names) {
  std::string first_norm;
  std::string any;
  for (const std::string& name : names) {
    const std::string_view rest = split_name(name).rest;
    if (rest == kEmbedding) return name;
    if (first_norm.empty() && rest == kFirstNorm) first_norm = name;
    if (any.empty() && is_decoder_weight(rest)) any = name;
  }
  return first_norm.empty() ? any : first_norm;
}

// Sets the prefix and the names of embedding, head and further heads.
Status find_names(const Checkpoint& checkpoint, StoredNames& found) {
  std::vector<std::string> names = checkpoint.names();
  std::ranges::sort(names);  // the same decision for every order of shards
  const std::string anchor = find_anchor(names);
  if (anchor.empty()) return ok_status();
  found.decoder_prefix = split_name(anchor).prefix;
  found.embedding = found.decoder_prefix + std::string(kEmbedding);
  found.head = usual_head_name(found.decoder_prefix);
  std::vector<std::string> heads;
  for (const std::string& name : names) {
    const SplitName split = split_name(name);
    if (is_decoder_weight(split.rest)) {
      const bool is_other = split.prefix != found.decoder_prefix;
      if (is_other && !is_harmless(*checkpoint.find(name))) return mixture(anchor, name);
    } else if (split.rest == kHead) {
      if (!is_outer_part(split.prefix, found.decoder_prefix)) return mixture(anchor, name);
      heads.push_back(name);
    }
  }
  if (heads.empty()) return ok_status();
  found.head = heads.front();
  found.head_copies.assign(heads.begin() + 1, heads.end());
  return ok_status();
}

// Whether two tensors of the same shape [rows, columns] and dtype have the same bytes.
StatusOr<bool> equal_bytes(Checkpoint& checkpoint,
                           const StoredTensor& one,
                           const StoredTensor& other,
                           const ReadProgress& progress) {
  const int64_t rows = one.shape[0];
  const IndexRange columns{0, one.shape[1]};
  const int64_t row_bytes = columns.size() * size_of(one.dtype);
  const int64_t block_rows = std::max<int64_t>(1, kBlockBytes / row_bytes);
  std::vector<std::byte> bytes[2];
  for (int64_t row = 0; row < rows; row += block_rows) {
    const IndexRange block{row, std::min(rows, row + block_rows)};
    for (std::vector<std::byte>& part : bytes) part.resize(block.size() * row_bytes);
    RETURN_IF_ERROR(checkpoint.read(one, block, columns, bytes[0]));
    RETURN_IF_ERROR(checkpoint.read(other, block, columns, bytes[1]));
    if (bytes[0] != bytes[1]) return false;
    if (progress) progress();
  }
  return true;
}

// Whether two heads, or head and embedding, are one matrix. A wrong shape or type counts as a
// difference; the check of all tensors refuses it by name.
StatusOr<bool> are_equal(Checkpoint& checkpoint,
                         const StoredTensor& one,
                         const StoredTensor& other,
                         const ModelConfig& config,
                         const ReadProgress& progress) {
  const std::vector<int64_t> shape = {config.vocabulary_size, config.hidden_size};
  const bool can_be = one.shape == shape && other.shape == shape && one.dtype == other.dtype &&
                      is_weight_dtype(one.dtype);
  if (!can_be) return false;
  return equal_bytes(checkpoint, one, other, progress);
}

// TRI-LOAD-020: a further head has other bytes than the first.
Status check_head_copies(Checkpoint& checkpoint,
                         const ModelConfig& config,
                         const ReadProgress& progress) {
  for (const std::string& copy : config.names.head_copies) {
    ASSIGN_OR_RETURN(const bool equal,
                     are_equal(checkpoint,
                               *checkpoint.find(config.names.head),
                               *checkpoint.find(copy),
                               config,
                               progress));
    if (!equal) return mixture(config.names.head, copy);
  }
  return ok_status();
}

}  // namespace

Status resolve_stored_names(Checkpoint& checkpoint,
                            ModelConfig& config,
                            std::vector<std::string>& notes,
                            const ReadProgress& progress) {
  RETURN_IF_ERROR(find_names(checkpoint, config.names));
  RETURN_IF_ERROR(check_head_copies(checkpoint, config, progress));
  if (!config.tied_embeddings) return ok_status();
  const StoredTensor* const embedding = checkpoint.find(config.names.embedding);
  const StoredTensor* const head = checkpoint.find(config.names.head);
  if (head == nullptr) return ok_status();
  if (embedding == nullptr) {
    config.names.embedding = config.names.head;
    return ok_status();
  }
  ASSIGN_OR_RETURN(config.tied_embeddings,
                   are_equal(checkpoint, *embedding, *head, config, progress));
  if (config.tied_embeddings || config.tie_is_implied) return ok_status();
  notes.push_back(format_text(
      "{} and {} are stored with different {} although \"tie_word_embeddings\" is "
      "true in config.json; the stored head is used; set \"tie_word_embeddings\" to false",
      shown_name(config.names.head),
      shown_name(config.names.embedding),
      head->dtype == embedding->dtype ? "values" : "types"));
  return ok_status();
}

}  // namespace trireme
