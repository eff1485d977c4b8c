#include "model/config/family.h"

#include <vector>

#include "base/text.h"

namespace trireme {

namespace {

// clang-format off
constexpr Family kFamilies[] = {
    {.model_type = "llama", .qkv_bias = false, .qk_norm = false, .mlp_bias_key = true,
     .attention_bias_key = true, .windows = WindowRule::kNone, .window = 0,
     .max_window_layers = 0, .head_dim = 0, .kv_heads = 0, .max_positions = 2048,
     .bos_id = 1, .eos_id = 2, .sizes = {32000, 4096, 11008, 32, 32}},
    {.model_type = "mistral", .qkv_bias = false, .qk_norm = false, .mlp_bias_key = false,
     .attention_bias_key = false, .windows = WindowRule::kAll, .window = 4096,
     .max_window_layers = 0, .head_dim = 0, .kv_heads = 8, .max_positions = 131072,
     .bos_id = 1, .eos_id = 2, .sizes = {32000, 4096, 14336, 32, 32}},
    {.model_type = "qwen2", .qkv_bias = true, .qk_norm = false, .mlp_bias_key = false,
     .attention_bias_key = false, .windows = WindowRule::kSwitched, .window = 4096,
     .max_window_layers = 28, .head_dim = 0, .kv_heads = 32, .max_positions = 32768,
     .bos_id = -1, .eos_id = -1, .sizes = {151936, 4096, 22016, 32, 32}},
    {.model_type = "qwen3", .qkv_bias = false, .qk_norm = true, .mlp_bias_key = false,
     .attention_bias_key = true, .windows = WindowRule::kSwitched, .window = 4096,
     .max_window_layers = 28, .head_dim = 128, .kv_heads = 32, .max_positions = 32768,
     .bos_id = -1, .eos_id = -1, .sizes = {151936, 4096, 22016, 32, 32}},
};
// clang-format on

}  // namespace

const Family* find_family(const std::string& model_type) {
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) return &family;
  }
  return nullptr;
}

std::string supported_families() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.model_type);
  return join(names);
}

}  // namespace trireme
