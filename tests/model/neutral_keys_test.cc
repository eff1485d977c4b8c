// Keys that change the arithmetic in some family: a value that is not neutral is refused by name, a
// neutral one gives the config without the key.
#include "model/config/neutral_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "model/config/read_model_config.h"

namespace trireme {
namespace neutral_keys_test {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kFamilies[] = {"llama", "mistral", "qwen2", "qwen3"};

// Heads of 16 for every family: the scale of attention scores is 0.25.
StatusOr<ModelConfig> parse(const std::string& type, const std::string& more = "") {
  return parse_model_config(
      format_text("{{\"model_type\": \"{}\", \"vocab_size\": 320, \"hidden_size\": 64, "
                  "\"intermediate_size\": 128, \"num_hidden_layers\": 4, \"head_dim\": 16, "
                  "\"num_attention_heads\": 8, \"num_key_value_heads\": 2, "
                  "\"max_position_embeddings\": 512, \"rope_theta\": 1e6{}{}}}",
                  type,
                  more.empty() ? "" : ", ",
                  more),
      "DIR/config.json");
}

struct Case {
  const char* key;
  const char* value;    // changes the arithmetic
  const char* neutral;  // beside null
};

constexpr Case kCases[] = {
    {"attn_logit_softcapping", "50.0", "0"},
    {"final_logit_softcapping", "30", "false"},
    {"embedding_multiplier", "12.0", "1.0"},
    {"residual_multiplier", "0.22", "1"},
    {"logits_scaling", "8", "1.0"},
    {"logit_scale", "0.0625", "1"},
    {"lm_head_multiplier", "0", "1"},
    {"scale_emb", "12", "1"},
    {"scale_depth", "1.4", "0"},
    {"dim_model_base", "256", "64"},
    {"mlp_multipliers", "[1.0, 0.5]", "[1.0, 1.0]"},
    {"attention_multiplier", "0.015625", "0.25"},
    {"query_pre_attn_scalar", "24", "16"},
    {"attn_temperature_tuning", "4", "0"},
    {"is_causal", "false", "true"},
    {"use_bidirectional_attention", "true", "false"},
    {"use_bidirectional_attention", "\"vision\"", "null"},
    {"per_layer_config", "{\"0\": {\"intermediate_size\": 64}}", "{}"},
    {"attention_chunk_size", "8192", "0"},
    {"no_rope_layers", "[1, 1, 1, 0]", "[1, 1, 1, 1]"},
    {"no_rope_layer_interval", "4", "0"},
    {"alibi", "true", "false"},
    {"position_embedding_type", "\"alibi\"", "\"rope\""},
    {"rotary_pct", "0.25", "1.0"},
    {"rope_interleaved", "true", "false"},
    {"rope_local_base_freq", "10000.0", "1000000.0"},
    {"num_experts", "8", "0"},
    {"num_local_experts", "8", "1"},
    {"n_routed_experts", "64", "null"},
    {"mlp_layer_types", "[\"dense\", \"sparse\"]", "[\"dense\", \"dense\"]"},
    {"attention_sinks", "4", "0"},
    {"clip_qkv", "8.0", "null"},
    {"parallel_attn", "true", "false"},
    {"use_parallel_residual", "true", "false"},
    {"bias", "true", "false"},
    {"use_bias", "true", "false"},
    {"lm_head_bias", "true", "false"},
    {"hidden_activation", "\"gelu_pytorch_tanh\"", "\"silu\""},
    {"sliding_window_pattern", "6", "0"},
    {"num_kv_shared_layers", "15", "0"},
    {"q_lora_rank", "1536", "null"},
    {"v_head_dim", "128", "16"},
    {"block_configs", "[{}]", "[]"},
    {"pruned_heads", "{\"1\": [0]}", "{}"},
    {"mup_enabled", "true", "false"},
    {"is_encoder_decoder", "true", "false"},
    {"norm_type", "\"layernorm\"", "\"rmsnorm\""},
    {"embedding_size", "32", "64"},
    {"window_size", "256", "0"},
    {"local_attention_window_len", "256", "512"},
    {"keep_window_size", "64", "0"},
    {"mlp_gate_softcap", "7.0", "0"},
    {"mlp_up_softcap", "7.0", "0"},
    {"residual_weight", "0.5", "1"},
    {"alibi_bias_max", "8", "0"},
    {"use_absolute_position_embeddings", "true", "false"},
    {"use_learned_position_embeddings", "true", "false"},
    {"swa_num_attention_heads", "4", "8"},
    {"swa_num_key_value_heads", "4", "2"},
    {"learnable_sink_init", "0.5", "0"},
    {"moe_layers", "[1, 2]", "[]"},
    {"floor_scale", "8192", "0"},
    {"logit_softcap", "30", "0"},
    {"attention_softcap", "30", "0"},
    {"attn_config", "{\"alibi\": true}", "{}"},
    {"use_rms_norm", "false", "true"},
    {"use_causal_mask", "false", "true"},
    {"nope_layers", "[3]", "[]"},
    {"norm_eps", "1e-05", "1e-06"},
    {"layer_norm_eps", "1e-12", "1e-6"},
    {"layer_norm_epsilon", "1e-05", "1e-6"},
    {"text_config", "{\"model_type\": \"llama\"}", "{}"},
};

TEST(NeutralKeys, AValueThatChangesTheArithmeticIsRefusedByName) {
  for (const char* family : kFamilies) {
    for (const Case& one : kCases) {
      const Status status = parse(family, format_text("\"{}\": {}", one.key, one.value)).status();
      EXPECT_EQ(error_id(status), "TRI-CONF-010") << family << " " << one.key;
      EXPECT_THAT(message_of(status),
                  AllOf(HasSubstr("DIR/config.json"),
                        HasSubstr(format_text("\"{}\" is {}", one.key, one.value)),
                        HasSubstr(format_text("family {}", family)),
                        HasSubstr("null")));
    }
  }
}

TEST(NeutralKeys, ANeutralValueIsTheConfigWithoutTheKey) {
  for (const char* family : kFamilies) {
    const ModelConfig plain = parse(family).value();
    for (const Case& one : kCases) {
      for (const char* value : {one.neutral, "null"}) {
        const auto config = parse(family, format_text("\"{}\": {}", one.key, value));
        ASSERT_TRUE(config.ok()) << family << message_of(config.status());
        EXPECT_EQ(*config, plain) << family << " " << one.key;
      }
    }
  }
}

TEST(NeutralKeys, KeysThatTheFamilyReadsAreNotInTheWay) {
  EXPECT_TRUE(parse("llama", "\"attention_bias\": true, \"mlp_bias\": true")->mlp_bias);
  EXPECT_TRUE(parse("qwen3", "\"attention_bias\": true")->output_bias);
  EXPECT_EQ(error_id(parse("mistral", "\"attention_bias\": true").status()), "TRI-CONF-010");
  for (const char* family : {"mistral", "qwen2", "qwen3"}) {
    EXPECT_EQ(error_id(parse(family, "\"mlp_bias\": true").status()), "TRI-CONF-010");
  }
}

TEST(NeutralKeys, WhatTheFamilyAlwaysDoesIsNeutral) {
  for (const char* key : {"qkv_bias", "attention_bias", "use_attention_bias"}) {
    EXPECT_EQ(parse("qwen2", format_text("\"{}\": true", key)).value(), parse("qwen2").value());
  }
  EXPECT_EQ(error_id(parse("mistral", "\"qkv_bias\": true").status()), "TRI-CONF-010");
  EXPECT_TRUE(parse("qwen3", "\"use_qk_norm\": true").ok());
  EXPECT_EQ(error_id(parse("llama", "\"use_qk_norm\": true").status()), "TRI-CONF-010");
  // Falcon3 states its gated MLP with silu so.
  EXPECT_TRUE(parse("llama", "\"activation\": \"swiglu\"").ok());
}

// The reference implementation keeps keys and values of a window even where attention has none.
TEST(NeutralKeys, AWindowInAFamilyWithoutWindowsMustCoverEveryPosition) {
  EXPECT_EQ(error_id(parse("llama", "\"sliding_window\": 511").status()), "TRI-CONF-010");
  EXPECT_TRUE(parse("llama", "\"sliding_window\": 512").ok());
  EXPECT_TRUE(parse("llama", "\"sliding_window\": null").ok());
  EXPECT_TRUE(parse("llama", "\"sliding_window\": -1").ok());
}

TEST(NeutralKeys, AWindowThatIsSwitchedOffIsNone) {
  const std::string window = "\"sliding_window\": 64, \"use_sliding_window\": ";
  EXPECT_TRUE(parse("llama", window + "false").ok());
  EXPECT_TRUE(parse("llama", "\"use_sliding_window\": false, \"window_size\": 64").ok());
  EXPECT_EQ(error_id(parse("llama", window + "true").status()), "TRI-CONF-010");
  EXPECT_EQ(error_id(parse("llama", window + "null").status()), "TRI-CONF-010");
}

TEST(NeutralKeys, OtherNamesOfTheEpsilonAreNotReadBesideTheKey) {
  for (const char* key : {"norm_eps", "layer_norm_eps", "layer_norm_epsilon"}) {
    const std::string more = format_text("\"rms_norm_eps\": 1e-6, \"{}\": 1e-5", key);
    EXPECT_EQ(parse("llama", more).value(), parse("llama").value()) << key;
    EXPECT_THAT(message_of(parse("llama", format_text("\"{}\": 1e-5", key)).status()),
                HasSubstr("rms_norm_eps"));
  }
}

}  // namespace neutral_keys_test
}  // namespace trireme
