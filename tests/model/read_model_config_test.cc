// config.json of every family and of both styles of keys: values read, defaults of the family, and
// errors.
#include "model/config/read_model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace trireme {
namespace read_model_config_test {

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

TEST(ModelConfig, AnIntegerMayHaveAFractionOfZero) {
  const ModelConfig config = read("llama",
                                  "\"max_position_embeddings\": 4096.0, \"head_dim\": 1.6e1, "
                                  "\"eos_token_id\": [2.0, 7]");
  EXPECT_EQ(config.max_positions, 4096);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_THAT(config.eos_ids, ElementsAre(2, 7));
}

TEST(ModelConfig, DualChunkAttentionEndsTheModelAtItsFirstChunk) {
  const std::string length = "\"max_position_embeddings\": 512, ";
  const auto with = [&](const std::string& fields) {
    return length + "\"dual_chunk_attention_config\": " + fields;
  };
  const ModelConfig limited = read("qwen2", with("{\"chunk_size\": 256, \"local_size\": 32}"));
  EXPECT_EQ(limited.max_positions, 224);
  EXPECT_THAT(limited.notes,
              ElementsAre(AllOf(
                  HasSubstr("dual_chunk_attention_config"), HasSubstr("224"), HasSubstr("512"))));
  const ModelConfig whole = read("qwen2", with("{\"chunk_size\": 4096, \"local_size\": 32}"));
  EXPECT_EQ(whole.max_positions, 512);
  EXPECT_TRUE(whole.notes.empty());
  EXPECT_EQ(read("qwen2", with("null")).max_positions, 512);
  for (const char* fields : {"true", "{\"chunk_size\": 0}", "{\"chunk_size\": 256}"}) {
    const Status status = parse_model_config(config_of("qwen2", with(fields)), "c").status();
    EXPECT_EQ(error_id(status), "TRI-CONF-003") << fields;
    EXPECT_THAT(message_of(status), HasSubstr("dual_chunk_attention_config"));
  }
}

// As Python's json module reads it.
TEST(ModelConfig, OfADoubledKeyTheLastCounts) {
  const ModelConfig config = read("llama", "\"head_dim\": 16");
  EXPECT_EQ(read("llama", "\"head_dim\": \"x\", \"head_\\u0064im\": 16"), config);
  EXPECT_EQ(read("llama",
                 "\"x\": 1, \"head_dim\": 16, \"num_experts\": 8, \"x\": 2, "
                 "\"num_experts\": 0"),
            config);
  EXPECT_EQ(read("llama",
                 "\"head_dim\": 16, \"rope_scaling\": {\"mrope_section\": [1], "
                 "\"type\": \"yarn\", \"mrope_section\": [], \"type\": \"default\"}"),
            config);
  EXPECT_EQ(
      error_id(parse_model_config(config_of("llama", "\"num_experts\": 0, \"num_experts\": 8"), "c")
                   .status()),
      "TRI-CONF-010");
}

TEST(ModelConfig, EndIdsThatCannotBeUsedAreNotedAndTheOthersApply) {
  const struct {
    const char* value;
    std::vector<TokenId> ids;
  } cases[] = {{"-1", {}}, {"[1, null]", {1}}, {"[7, -1, 16777217, 9]", {7, 9}}, {"\"</s>\"", {}}};
  for (const auto& [value, ids] : cases) {
    const ModelConfig config = read("llama", format_text("\"eos_token_id\": {}", value));
    EXPECT_EQ(config.eos_ids, ids) << value;
    EXPECT_FALSE(config.eos_is_implied);
    EXPECT_THAT(config.notes,
                ElementsAre(AllOf(HasSubstr("TRI-CONF-007: config.json"),
                                  HasSubstr("eos_token_id"),
                                  HasSubstr("0 to 16777216"))))
        << value;
  }
}

TEST(ModelConfig, HalfOfASurrogatePairIsTakenInFieldsThatNobodyReads) {
  EXPECT_EQ(read("llama", "\"_name_or_path\": \"\\ud83d\""), read("llama"));
}

TEST(ModelConfig, NumbersOfPythonAreTakenInFieldsThatNobodyReads) {
  EXPECT_EQ(read("llama",
                 "\"time_step_limit\": [0.0, Infinity], \"x\": NaN, \"y\": -Infinity, \"z\": "
                 "1e999, \"w\": [0.0, {\"__float__\": \"Infinity\"}]"),
            read("llama"));
}

TEST(ModelConfig, TheDtypeMayBeAnObjectOrATorchName) {
  const auto dtype = [](const std::string& more) { return read("llama", more).stored_dtype; };
  EXPECT_EQ(dtype("\"dtype\": \"float16\""), DType::kFloat16);
  EXPECT_EQ(dtype("\"torch_dtype\": \"torch.float32\""), DType::kFloat32);
  EXPECT_EQ(dtype("\"dtype\": null, \"torch_dtype\": \"float32\""), DType::kFloat32);
  EXPECT_EQ(dtype("\"dtype\": {\"\": \"float16\", \"vision_config\": \"float32\"}"),
            DType::kFloat16);
  EXPECT_EQ(dtype("\"dtype\": {\"text_config\": \"float32\", \"\": \"float16\"}"), DType::kFloat32);
  EXPECT_EQ(dtype("\"dtype\": \"auto\""), DType::kBFloat16);
  EXPECT_EQ(dtype("\"dtype\": {}"), DType::kBFloat16);
}

// The values of the reference implementation's configuration classes.
TEST(ModelConfig, AbsentKeysHaveTheDefaultOfTheFamilyAndNullTokensAreNone) {
  for (const std::string type : {"llama", "mistral"}) {
    EXPECT_EQ(read(type).bos_id, 1);
    EXPECT_THAT(read(type).eos_ids, ElementsAre(2));
    EXPECT_TRUE(read(type).eos_is_implied);
    EXPECT_TRUE(read(type, "\"eos_token_id\": null").eos_ids.empty());
    EXPECT_FALSE(read(type, "\"eos_token_id\": null").eos_is_implied);
    EXPECT_EQ(read(type, "\"bos_token_id\": null").bos_id, -1);
  }
  for (const std::string type : {"qwen2", "qwen3"}) {
    EXPECT_EQ(read(type).bos_id, -1);
    EXPECT_TRUE(read(type).eos_ids.empty());
  }
  for (const std::string type : {"llama", "mistral", "qwen2", "qwen3"}) {
    const ModelConfig config = read(type);
    EXPECT_FALSE(config.tied_embeddings) << type;
    EXPECT_EQ(config.ropes[0].theta, 10000) << type;
    EXPECT_EQ(config.norm_epsilon, 1e-6) << type;
    EXPECT_EQ(config.activation, ConfigActivation::kSilu) << type;
    EXPECT_EQ(read(type,
                   "\"tie_word_embeddings\": null, \"rope_theta\": null, \"hidden_act\": null, "
                   "\"rms_norm_eps\": null, \"max_position_embeddings\": null"),
              config)
        << type;
  }
  EXPECT_EQ(read("llama").max_positions, 2048);
  EXPECT_EQ(read("mistral").max_positions, 131072);
  EXPECT_EQ(read("qwen2").max_positions, 32768);
  EXPECT_EQ(read("qwen3").max_positions, 32768);
}

TEST(ModelConfig, AQuantisedCheckpointIsRefusedUnderEveryNameOfTheKey) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    const std::string text = config_of("llama", format_text("\"{}\": {{\"bits\": 4}}", key));
    EXPECT_EQ(error_id(parse_model_config(text, "c").status()), "TRI-CONF-005") << key;
    read("llama", format_text("\"{}\": {{}}", key));
    read("llama", format_text("\"{}\": null", key));
    read("llama", format_text("\"{}\": \"none\"", key));
    read("llama",
         format_text("\"{}\": {{\"config_groups\": {{}}, \"format\": \"dense\", "
                     "\"quant_method\": \"compressed-tensors\"}}",
                     key));
    for (const char* value : {"\"int4\"",
                              "{\"config_groups\": {}, \"format\": \"pack-quantized\"}",
                              "{\"config_groups\": {\"a\": 1}, \"format\": \"dense\"}",
                              "{\"format\": \"dense\"}"}) {
      const std::string set = config_of("llama", format_text("\"{}\": {}", key, value));
      EXPECT_EQ(error_id(parse_model_config(set, "c").status()), "TRI-CONF-005") << value;
    }
  }
}

TEST(ModelConfig, LayerTypesThatTheOtherKeysContradictAreRefused) {
  const std::string mixed =
      "\"layer_types\": [\"full_attention\", \"sliding_attention\", \"full_attention\", "
      "\"full_attention\"]";
  const std::string full =
      "\"layer_types\": [\"full_attention\", \"attention\", \"full_attention\", "
      "\"full_attention\"]";
  for (const std::string type : {"llama", "mistral", "qwen2", "qwen3"}) {
    const auto refused = [&](const std::string& more) {
      return error_id(parse_model_config(config_of(type, more), "c").status());
    };
    EXPECT_EQ(refused(mixed), "TRI-CONF-003") << type;
    EXPECT_EQ(refused("\"layer_types\": [\"full_attention\"]"), "TRI-CONF-003") << type;
    EXPECT_EQ(refused("\"layer_types\": \"full_attention\""), "TRI-CONF-003") << type;
    EXPECT_THAT(read(type, full + ", \"sliding_window\": null").layer_window, Each(0)) << type;
  }
  EXPECT_EQ(error_id(parse_model_config(config_of("mistral", full), "c").status()), "TRI-CONF-003");
  EXPECT_EQ(
      error_id(
          parse_model_config(
              config_of("mistral", "\"sliding_window\": 16, \"use_sliding_window\": false"), "c")
              .status()),
      "TRI-CONF-003");
  // A window that is switched off is not read.
  EXPECT_THAT(read("qwen2", "\"sliding_window\": 0").layer_window, Each(0));
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

TEST(ModelConfig, ErrorsNameTheFieldTheValueAndTheAllowedValues) {
  const struct {
    const char* more;
    const char* id;
    std::vector<const char*> words;
  } cases[] = {
      {"\"head_dim\": 7", "TRI-CONF-003", {"head_dim", "7", "even"}},
      {"\"head_dim\": \"x\"", "TRI-CONF-003", {"head_dim", "\"x\"", "2 to 1024"}},
      {"\"rms_norm_eps\": -1", "TRI-CONF-003", {"rms_norm_eps", "-1"}},
      {"\"head_dim\": 8.5", "TRI-CONF-003", {"head_dim", "8.5", "integers"}},
      {"\"head_dim\": 1e300", "TRI-CONF-003", {"head_dim", "1e300"}},
      {"\"head_dim\": Infinity", "TRI-CONF-003", {"head_dim", "Infinity"}},
      {"\"head_dim\": {\"__float__\": \"NaN\"}", "TRI-CONF-003", {"head_dim", "__float__"}},
      {"\"rms_norm_eps\": NaN", "TRI-CONF-003", {"rms_norm_eps", "NaN"}},
      {"\"max_position_embeddings\": 1e999", "TRI-CONF-003", {"max_position_embeddings"}},
      {"\"dtype\": 16", "TRI-CONF-003", {"dtype", "16"}},
      {"\"tie_word_embeddings\": 1", "TRI-CONF-003", {"tie_word_embeddings", "true and false"}},
      {"\"hidden_act\": \"gelu\"", "TRI-CONF-003", {"hidden_act", "gelu", "silu"}},
      {"\"rope_scaling\": 3", "TRI-CONF-003", {"rope_scaling", "object"}},
      {"\"rope_scaling\": {\"type\": \"longrope\"}", "TRI-CONF-006", {"longrope", "yarn"}},
      {"\"rope_scaling\": {\"type\": \"linear\"}", "TRI-CONF-003", {"factor", "missing"}},
      {"\"rope_scaling\": {\"type\": \"yarn\"}", "TRI-CONF-003", {"factor", "missing"}},
      {"\"quantization_config\": {\"bits\": 4}", "TRI-CONF-005", {"quantization_config", "bf16"}},
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
}

TEST(ModelConfig, RefusesAnUnknownFamilyAndTextThatIsNotJson) {
  const Status family = parse_model_config(config_of("mamba"), "c").status();
  EXPECT_EQ(error_id(family), "TRI-CONF-004");
  EXPECT_THAT(message_of(family),
              AllOf(HasSubstr("mamba"), HasSubstr("llama, mistral, qwen2, qwen3")));
  EXPECT_EQ(error_id(parse_model_config("{}", "c").status()), "TRI-CONF-004");
  for (const char* text : {"", "[1]", "{\"a\": }", "{\"a\": 1} x"}) {
    EXPECT_EQ(error_id(parse_model_config(text, "c").status()), "TRI-CONF-002") << text;
  }
  const std::string mark = "\xEF\xBB\xBF" + config_of("llama");
  EXPECT_THAT(message_of(parse_model_config(mark, "c").status()), HasSubstr("byte order mark"));
  const char* pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  EXPECT_THAT(message_of(parse_model_config(pointer, "c").status()), HasSubstr("git-lfs pointer"));
  EXPECT_EQ(error_id(load_model_config("/nonexistent").status()), "TRI-CONF-001");
}

}  // namespace read_model_config_test
}  // namespace trireme
