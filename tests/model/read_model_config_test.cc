// config.json of every family and of both styles of keys: values read, defaults of the family, and
// errors.
#include "model/config/read_model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace trireme {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// A config.json with the sizes that every family needs, and further fields.
std::string config_of(const std::string& type, const std::string& more = "") {
  return format_text(
      "{{\"model_type\": \"{}\", \"vocab_size\": 320, \"hidden_size\": 64, \"intermediate_size\": "
      "128, \"num_hidden_layers\": 4, \"num_attention_heads\": 8, \"num_key_value_heads\": 2{}{}}}",
      type,
      more.empty() ? "" : ", ",
      more);
}

ModelConfig read(const std::string& type, const std::string& more = "") {
  auto config = parse_model_config(config_of(type, more), "config.json");
  EXPECT_TRUE(config.ok()) << message_of(config.status());
  return config.ok() ? *config : ModelConfig();
}

TEST(ModelConfig, ReadsSizesAndDerivesTheOthers) {
  const ModelConfig config =
      read("llama", "\"rms_norm_eps\": 1e-5, \"bos_token_id\": 1, \"eos_token_id\": [2, 7]");
  EXPECT_EQ(config.vocabulary_size, 320);
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_DOUBLE_EQ(config.attention_scale, 1 / std::sqrt(8.0));
  EXPECT_EQ(config.max_positions, 2048);
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.bos_id, 1);
  EXPECT_THAT(config.eos_ids, ElementsAre(2, 7));
  EXPECT_THAT(config.layer_window, ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(config.ropes[0].theta, 10000);
}

TEST(ModelConfig, NullIsAbsent) {
  const ModelConfig config =
      read("llama", "\"head_dim\": null, \"rope_scaling\": null, \"eos_token_id\": null");
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.ropes[0].scaling, RopeScaling::kNone);
  EXPECT_TRUE(config.eos_ids.empty());
}

TEST(ModelConfig, FamiliesDifferInBiasNormsAndHeads) {
  const ModelConfig llama = read("llama", "\"attention_bias\": true, \"mlp_bias\": true");
  EXPECT_TRUE(llama.qkv_bias && llama.output_bias && llama.mlp_bias);
  const ModelConfig qwen2 = read("qwen2");
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.output_bias || qwen2.mlp_bias || qwen2.qk_norm);
  const ModelConfig qwen3 = read("qwen3");
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_EQ(qwen3.head_dim, 128);  // whatever hidden_size / heads is
  EXPECT_FALSE(read("mistral", "\"attention_bias\": true").qkv_bias);  // the family has none
}

TEST(ModelConfig, AbsentKvHeadsAreThoseOfTheFamilyAndNullMeansOnePerHead) {
  const auto kv_heads = [](const std::string& type, int heads, const std::string& more) {
    const auto config = parse_model_config(
        format_text(
            "{{\"model_type\": \"{}\", \"vocab_size\": 320, \"hidden_size\": 256, "
            "\"intermediate_size\": 128, \"num_hidden_layers\": 4, \"num_attention_heads\": {}{}}}",
            type,
            heads,
            more),
        "config.json");
    EXPECT_TRUE(config.ok()) << message_of(config.status());
    return config.ok() ? config->num_kv_heads : -1;
  };
  const std::string null = ", \"num_key_value_heads\": null";
  EXPECT_EQ(kv_heads("llama", 32, ""), 32);
  EXPECT_EQ(kv_heads("mistral", 32, ""), 8);
  EXPECT_EQ(kv_heads("mistral", 32, null), 32);
  EXPECT_EQ(kv_heads("mistral", 4, ""), 4);
  EXPECT_EQ(kv_heads("qwen2", 64, ""), 32);
  EXPECT_EQ(kv_heads("qwen3", 64, null), 64);
}

TEST(ModelConfig, WindowsFollowTheRulesOfTheFamily) {
  EXPECT_THAT(read("mistral").layer_window, Each(4096));
  EXPECT_THAT(read("mistral", "\"sliding_window\": null").layer_window, Each(0));
  EXPECT_THAT(read("mistral", "\"sliding_window\": 16").layer_window, Each(16));
  EXPECT_THAT(read("qwen2", "\"sliding_window\": 16").layer_window, Each(0));  // not switched on
  EXPECT_THAT(read("qwen2",
                   "\"sliding_window\": 16, \"use_sliding_window\": true, \"max_window_layers\": 3")
                  .layer_window,
              ElementsAre(0, 0, 0, 16));
  EXPECT_THAT(read("qwen3",
                   "\"sliding_window\": 16, \"use_sliding_window\": true, \"layer_types\": "
                   "[\"sliding_attention\", \"full_attention\", \"sliding_attention\", "
                   "\"full_attention\"]")
                  .layer_window,
              ElementsAre(16, 0, 16, 0));
}

TEST(ModelConfig, BothStylesOfRopeKeysGiveTheSameConfig) {
  const std::string scaling =
      "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
      "\"original_max_position_embeddings\": 512";
  const ModelConfig old_style = read(
      "llama",
      format_text("\"rope_theta\": 500000.0, \"rope_scaling\": {{\"rope_type\": \"llama3\", {}}}",
                  scaling));
  const ModelConfig new_style =
      read("llama",
           format_text(
               "\"rope_parameters\": {{\"rope_type\": \"llama3\", \"rope_theta\": 500000.0, {}}}",
               scaling));
  EXPECT_EQ(old_style.ropes, new_style.ropes);
  EXPECT_EQ(old_style.ropes[0].scaling, RopeScaling::kLlama3);
  EXPECT_EQ(old_style.ropes[0].original_max_positions, 512);
  const ModelConfig linear =
      read("llama", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}");
  EXPECT_EQ(linear.ropes[0].scaling, RopeScaling::kLinear);
  EXPECT_EQ(linear.ropes[0].factor, 2.5);
}

TEST(ModelConfig, YarnAttentionFactorIsResolved) {
  const auto factor = [](const std::string& more) {
    return read("llama", "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4.0" + more + "}")
        .ropes[0]
        .attention_factor;
  };
  EXPECT_NEAR(factor(""), 1.138629436111989, 1e-12);  // 0.1 ln 4 + 1
  EXPECT_EQ(factor(", \"attention_factor\": 0.5"), 0.5);
  EXPECT_NEAR(factor(", \"mscale\": 2.0, \"mscale_all_dim\": 1.0"),
              (0.2 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1),
              1e-12);
}

// As in the reference implementation, if a user has added "rope_scaling" to a newer config.
TEST(ModelConfig, RopeScalingTakesPrecedenceOverRopeParametersButKeepsTheirTheta) {
  const RopeConfig rope =
      read("qwen3",
           "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}, "
           "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}")
          .ropes[0];
  EXPECT_EQ(rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(rope.theta, 1e6);
}

TEST(ModelConfig, TheOriginalLengthMayBeAKeyOfTheModelAndGivesTheYarnFactor) {
  const RopeConfig rope = read("llama",
                               "\"max_position_embeddings\": 512, "
                               "\"original_max_position_embeddings\": 64, "
                               "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": null, "
                               "\"original_max_position_embeddings\": 128}")
                              .ropes[0];
  EXPECT_EQ(rope.original_max_positions, 64);
  EXPECT_EQ(rope.factor, 8);
}

TEST(ModelConfig, ErrorsNameTheFieldTheValueAndTheAllowedValues) {
  const struct {
    const char* more;
    const char* id;
    std::vector<const char*> words;
  } cases[] = {
      {"\"head_dim\": 7", "TRI-CONF-003", {"head_dim", "7", "even"}},
      {"\"head_dim\": \"x\"", "TRI-CONF-003", {"head_dim", "\"x\"", "2 to 1024"}},
      {"\"rms_norm_eps\": -1", "TRI-CONF-003", {"rms_norm_eps", "-1"}},
      {"\"max_position_embeddings\": 1e3", "TRI-CONF-003", {"max_position_embeddings", "1e3"}},
      {"\"tie_word_embeddings\": 1", "TRI-CONF-003", {"tie_word_embeddings", "true and false"}},
      {"\"hidden_act\": \"gelu\"", "TRI-CONF-003", {"hidden_act", "gelu", "silu"}},
      {"\"eos_token_id\": [2, -1]", "TRI-CONF-003", {"eos_token_id", "-1", "token ids"}},
      {"\"rope_scaling\": 3", "TRI-CONF-003", {"rope_scaling", "object"}},
      {"\"rope_scaling\": {\"type\": \"dynamic\"}", "TRI-CONF-006", {"dynamic", "yarn"}},
      {"\"rope_scaling\": {\"type\": \"linear\"}", "TRI-CONF-003", {"factor", "missing"}},
      {"\"rope_scaling\": {\"type\": \"yarn\"}", "TRI-CONF-003", {"factor", "missing"}},
      {"\"quantization_config\": {\"bits\": 4}", "TRI-CONF-005", {"quantization_config", "bf16"}},
      {"\"vocab_size\": 320", "TRI-CONF-003", {"vocab_size", "twice"}},
  };
  for (const auto& one : cases) {
    const Status status =
        parse_model_config(config_of("llama", one.more), "DIR/config.json").status();
    EXPECT_EQ(error_id(status), one.id) << one.more;
    EXPECT_THAT(message_of(status), HasSubstr("DIR/config.json")) << one.more;
    for (const char* words : one.words) EXPECT_THAT(message_of(status), HasSubstr(words));
  }
}

TEST(ModelConfig, HeadsThatDoNotFitAreRefused) {
  const std::string text =
      "{\"model_type\": \"llama\", \"vocab_size\": 320, \"hidden_size\": 60, "
      "\"intermediate_size\": 128, \"num_hidden_layers\": 4, \"num_attention_heads\": 8}";
  EXPECT_THAT(message_of(parse_model_config(text, "c").status()), HasSubstr("hidden_size"));
  EXPECT_THAT(
      message_of(parse_model_config(config_of("qwen3", "\"num_experts\": 8"), "c").status()),
      testing::IsEmpty());  // keys of others are passed over
}

TEST(ModelConfig, RefusesAnUnknownFamilyAndTextThatIsNotJson) {
  const Status family = parse_model_config(config_of("mamba"), "c").status();
  EXPECT_EQ(error_id(family), "TRI-CONF-004");
  EXPECT_THAT(message_of(family),
              AllOf(HasSubstr("mamba"), HasSubstr("llama, mistral, qwen2, qwen3")));
  EXPECT_EQ(error_id(parse_model_config("{}", "c").status()), "TRI-CONF-004");
  for (const char* text : {"", "[1]", "{\"a\": }", "{\"a\": 1} x", "\xEF\xBB\xBF{}"}) {
    EXPECT_EQ(error_id(parse_model_config(text, "c").status()), "TRI-CONF-002") << text;
  }
  EXPECT_EQ(error_id(load_model_config("/nonexistent").status()), "TRI-CONF-001");
}

}  // namespace
}  // namespace trireme
