#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/checkpoint/dummy_checkpoint.h"
#include "model/checkpoint/model_source.h"
#include "model/file_text.h"

namespace trireme {

namespace {

// The sizes of published models, as in their config.json.
struct ShapeRow {
  const char* name;
  const char* model_type;
  int vocabulary, hidden, intermediate, layers, heads, kv_heads, head_dim, max_positions;
  double theta;
  bool tied;
  double llama3_factor;  // 0: no rope scaling
};

constexpr ShapeRow kShapes[] = {
    {"llama-2-7b", "llama", 32000, 4096, 11008, 32, 32, 32, 128, 4096, 1e4, false, 0},
    {"llama-3-8b", "llama", 128256, 4096, 14336, 32, 32, 8, 128, 8192, 5e5, false, 0},
    {"llama-3.1-8b", "llama", 128256, 4096, 14336, 32, 32, 8, 128, 131072, 5e5, false, 8},
    {"llama-3.1-70b", "llama", 128256, 8192, 28672, 80, 64, 8, 128, 131072, 5e5, false, 8},
    {"llama-3.1-405b", "llama", 128256, 16384, 53248, 126, 128, 8, 128, 131072, 5e5, false, 8},
    {"llama-3.2-1b", "llama", 128256, 2048, 8192, 16, 32, 8, 64, 131072, 5e5, true, 32},
    {"llama-3.2-3b", "llama", 128256, 3072, 8192, 28, 24, 8, 128, 131072, 5e5, true, 32},
    {"llama-3.3-70b", "llama", 128256, 8192, 28672, 80, 64, 8, 128, 131072, 5e5, false, 8},
    {"mistral-7b-v0.1", "mistral", 32000, 4096, 14336, 32, 32, 8, 128, 32768, 1e4, false, 0},
    {"mistral-7b-v0.3", "mistral", 32768, 4096, 14336, 32, 32, 8, 128, 32768, 1e6, false, 0},
    {"qwen2.5-0.5b", "qwen2", 151936, 896, 4864, 24, 14, 2, 64, 32768, 1e6, true, 0},
    {"qwen2.5-1.5b", "qwen2", 151936, 1536, 8960, 28, 12, 2, 128, 32768, 1e6, true, 0},
    {"qwen2.5-3b", "qwen2", 151936, 2048, 11008, 36, 16, 2, 128, 32768, 1e6, true, 0},
    {"qwen2.5-7b", "qwen2", 152064, 3584, 18944, 28, 28, 4, 128, 32768, 1e6, false, 0},
    {"qwen2.5-14b", "qwen2", 152064, 5120, 13824, 48, 40, 8, 128, 32768, 1e6, false, 0},
    {"qwen2.5-32b", "qwen2", 152064, 5120, 27648, 64, 40, 8, 128, 32768, 1e6, false, 0},
    {"qwen2.5-72b", "qwen2", 152064, 8192, 29568, 80, 64, 8, 128, 32768, 1e6, false, 0},
    {"qwen3-0.6b", "qwen3", 151936, 1024, 3072, 28, 16, 8, 128, 40960, 1e6, true, 0},
    {"qwen3-1.7b", "qwen3", 151936, 2048, 6144, 28, 16, 8, 128, 40960, 1e6, true, 0},
    {"qwen3-4b", "qwen3", 151936, 2560, 9728, 36, 32, 8, 128, 40960, 1e6, true, 0},
    {"qwen3-8b", "qwen3", 151936, 4096, 12288, 36, 32, 8, 128, 40960, 1e6, false, 0},
    {"qwen3-14b", "qwen3", 151936, 5120, 17408, 40, 40, 8, 128, 40960, 1e6, false, 0},
    {"qwen3-32b", "qwen3", 151936, 5120, 25600, 64, 64, 8, 128, 40960, 1e6, false, 0},
};

std::string config_of(const ShapeRow& shape) {
  nlohmann::json config = {{"model_type", shape.model_type},
                           {"vocab_size", shape.vocabulary},
                           {"hidden_size", shape.hidden},
                           {"intermediate_size", shape.intermediate},
                           {"num_hidden_layers", shape.layers},
                           {"num_attention_heads", shape.heads},
                           {"num_key_value_heads", shape.kv_heads},
                           {"head_dim", shape.head_dim},
                           {"max_position_embeddings", shape.max_positions},
                           {"rms_norm_eps", 1e-5},
                           {"rope_theta", shape.theta},
                           {"tie_word_embeddings", shape.tied},
                           {"torch_dtype", "bfloat16"}};
  if (shape.llama3_factor > 0) {
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", shape.llama3_factor},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};
  }
  if (std::string(shape.model_type) == "mistral" && shape.theta > 1e5) {
    config["sliding_window"] = nullptr;
  }
  return config.dump(2);
}

}  // namespace

std::vector<std::string> dummy_shape_names() {
  std::vector<std::string> names;
  for (const ShapeRow& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

StatusOr<std::string> dummy_config(const std::string& shape) {
  for (const ShapeRow& row : kShapes) {
    if (shape == row.name) return config_of(row);
  }
  std::error_code error;
  if (std::filesystem::is_regular_file(shape, error)) {
    return read_text_file(shape, 4 << 20, "TRI-CONF-001");
  }
  const std::string near = nearest(shape, dummy_shape_names());
  return invalid("TRI-CONF-008",
                 "no shape is called \"{}\"{}; use a path to a config.json or one of {}",
                 shape,
                 near.empty() ? "" : format_text(" (nearest: {})", near),
                 join(dummy_shape_names()));
}

}  // namespace trireme
