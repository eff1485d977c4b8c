#include "model/checkpoint/dummy_checkpoint.h"

#include <sodium.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/host_info.h"
#include "base/parallel_ranges.h"
#include "base/philox.h"
#include "base/text.h"

namespace trireme {

namespace {

// FNV-1a. The names are few and short, so any hash without collisions among them will do.
uint64_t hash_name(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  return hash;
}

constexpr int64_t kValuesPerThread = 1 << 16;  // 0.25 ms of work: ten times a thread's start

// The distribution of a tensor's values: offset + scale x, x uniform in (-1, 1).
struct Values {
  uint64_t key = 0;
  int64_t width = 1;  // of a row
  float scale = 1;
  float offset = 0;
};

// x is made of 16 random bits: eight elements per Philox block.
void fill(const Values& values, int64_t first, int64_t count, bf16_t* out) {
  int64_t index = first;
  const int64_t end = first + count;
  while (index < end) {
    const int64_t block = index / 8;
    const PhiloxBlock words = philox4x32(
        {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}, values.key);
    for (; index < end && index / 8 == block; ++index) {
      const int place = static_cast<int>(index % 8);
      const auto bits = static_cast<int16_t>(words[place / 2] >> (16 * (place % 2)));
      *out++ = float_to_bf16(values.offset +
                             values.scale * (static_cast<float>(bits) + 0.5f) * 0x1p-15f);
    }
  }
}

// Elements [begin, end) of the slice, counted in its order, to their places in `out`.
void fill_slice(const Values& values,
                IndexRange rows,
                IndexRange columns,
                int64_t begin,
                int64_t end,
                bf16_t* out) {
  if (columns.size() == values.width) {  // whole rows, one after another
    return fill(values, rows.begin * values.width + begin, end - begin, out + begin);
  }
  for (int64_t at = begin; at < end;) {
    const int64_t row = rows.begin + at / columns.size();
    const int64_t column = at % columns.size();
    const int64_t count = std::min(columns.size() - column, end - at);
    fill(values, row * values.width + columns.begin + column, count, out + at);
    at += count;
  }
}

class DummyCheckpoint final : public Checkpoint {
 public:
  DummyCheckpoint(const ModelConfig& config, std::string config_text, uint64_t seed, int threads)
      : config_text_(std::move(config_text)), seed_(seed), threads_(threads) {
    const TensorTable table(config);
    for (const TensorEntry& entry : table.entries()) {
      StoredTensor tensor;
      tensor.name = entry.names.front();
      tensor.dtype = DType::kBFloat16;
      tensor.shape = {entry.rows};
      if (!entry.is_vector) tensor.shape.push_back(entry.columns);
      tensor.bytes = entry.rows * entry.columns * 2;
      names_.push_back(tensor.name);
      tensors_.emplace(tensor.name, tensor);
    }
  }

  const StoredTensor* find(const std::string& name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }

  std::vector<std::string> names() const override { return names_; }

  Status read(const StoredTensor& tensor,
              IndexRange rows,
              IndexRange columns,
              std::span<std::byte> out) override {
    const bool is_vector = tensor.shape.size() == 1;
    const int64_t width = is_vector ? 1 : tensor.shape[1];
    const bool is_norm = is_vector && tensor.name.find("norm") != std::string::npos;
    // Matrices preserve the variance of their input (a uniform value has the deviation 1/sqrt(3)).
    Values values;
    values.key = seed_ ^ hash_name(tensor.name);
    values.width = width;
    values.scale = is_norm     ? 0.1f
                   : is_vector ? 0.02f
                               : static_cast<float>(std::sqrt(3.0 / static_cast<double>(width)));
    values.offset = is_norm ? 1.0f : 0.0f;
    const int64_t count = rows.size() * columns.size();
    const int parts = static_cast<int>(std::clamp<int64_t>(count / kValuesPerThread, 1, threads_));
    auto* target = reinterpret_cast<bf16_t*>(out.data());
    run_ranges(count, parts, [&](int64_t begin, int64_t end) {
      fill_slice(values, rows, columns, begin, end, target);
    });
    bytes_read_ += static_cast<int64_t>(out.size());
    return ok_status();
  }

  int64_t bytes_read() const override { return bytes_read_; }

  std::string fingerprint() const override {
    const std::string text = format_text("dummy{}{}", seed_, config_text_);
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    char hex[2 * sizeof digest + 1];
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return hex;
  }

 private:
  std::string config_text_;
  uint64_t seed_;
  int threads_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, StoredTensor> tensors_;
  int64_t bytes_read_ = 0;
};

}  // namespace

std::unique_ptr<Checkpoint> make_dummy_checkpoint(const ModelConfig& config,
                                                  const std::string& config_text,
                                                  uint64_t seed,
                                                  int threads) {
  return std::make_unique<DummyCheckpoint>(
      config, config_text, seed, threads > 0 ? threads : usable_core_count());
}

}  // namespace trireme
