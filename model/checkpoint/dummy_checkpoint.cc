#include "model/checkpoint/dummy_checkpoint.h"

#include <sodium.h>

#include <cmath>
#include <unordered_map>

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

// Values are uniform in (-1, 1), made of 16 random bits each: eight elements per Philox block.
class DummyCheckpoint final : public Checkpoint {
 public:
  DummyCheckpoint(const ModelConfig& config, std::string config_text, uint64_t seed)
      : config_text_(std::move(config_text)), seed_(seed) {
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
    const float scale = is_norm ? 0.1f
                        : is_vector
                            ? 0.02f
                            : static_cast<float>(std::sqrt(3.0 / static_cast<double>(width)));
    const float offset = is_norm ? 1.0f : 0.0f;
    const uint64_t key = seed_ ^ hash_name(tensor.name);
    auto* target = reinterpret_cast<bf16_t*>(out.data());
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      fill(key, row * width + columns.begin, columns.size(), scale, offset, target);
      target += columns.size();
    }
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
  static void fill(
      uint64_t key, int64_t first, int64_t count, float scale, float offset, bf16_t* out) {
    int64_t index = first;
    const int64_t end = first + count;
    while (index < end) {
      const int64_t block = index / 8;
      const PhiloxBlock words =
          philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}, key);
      for (; index < end && index / 8 == block; ++index) {
        const int place = static_cast<int>(index % 8);
        const auto bits = static_cast<int16_t>(words[place / 2] >> (16 * (place % 2)));
        *out++ = float_to_bf16(offset + scale * (static_cast<float>(bits) + 0.5f) * 0x1p-15f);
      }
    }
  }

  std::string config_text_;
  uint64_t seed_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, StoredTensor> tensors_;
  int64_t bytes_read_ = 0;
};

}  // namespace

std::unique_ptr<Checkpoint> make_dummy_checkpoint(const ModelConfig& config,
                                                  const std::string& config_text,
                                                  uint64_t seed) {
  return std::make_unique<DummyCheckpoint>(config, config_text, seed);
}

}  // namespace trireme
