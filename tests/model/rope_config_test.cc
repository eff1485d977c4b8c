// The rotary keys of config.json: both styles, by kind of layer, both at once, the length that they
// give, and what is refused.
#include "model/config/rope_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/text.h"
#include "model/config/read_model_config.h"

namespace trireme {
namespace rope_config_test {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// A config.json with 4 layers and 64 positions, and further fields.
std::string config_of(const std::string& type, const std::string& more) {
  return format_text(
      "{{\"model_type\": \"{}\", \"vocab_size\": 320, \"hidden_size\": 64, \"intermediate_size\": "
      "128, \"num_hidden_layers\": 4, \"num_attention_heads\": 8, \"num_key_value_heads\": 2, {}}}",
      type,
      more);
}

ModelConfig read(const std::string& type, const std::string& more) {
  auto config = parse_model_config(config_of(type, more), "config.json");
  EXPECT_TRUE(config.ok()) << message_of(config.status());
  if (config.ok()) return *config;
  ModelConfig empty;
  empty.ropes.resize(1);
  return empty;
}

Status refusal(const std::string& type, const std::string& more) {
  return parse_model_config(config_of(type, more), "config.json").status();
}

TEST(RopeConfig, BothStylesOfRopeKeysGiveTheSameConfig) {
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

TEST(RopeConfig, YarnAttentionFactorIsResolved) {
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
TEST(RopeConfig, RopeScalingTakesPrecedenceOverRopeParametersButKeepsTheirTheta) {
  const RopeConfig rope =
      read("qwen3",
           "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}, "
           "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}")
          .ropes[0];
  EXPECT_EQ(rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(rope.theta, 1e6);
}

TEST(RopeConfig, TheOriginalLengthMayBeAKeyOfTheModelAndGivesTheYarnFactor) {
  const RopeConfig rope = read("llama",
                               "\"max_position_embeddings\": 512, "
                               "\"original_max_position_embeddings\": 64, "
                               "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": null, "
                               "\"original_max_position_embeddings\": 128}")
                              .ropes[0];
  EXPECT_EQ(rope.original_max_positions, 64);
  EXPECT_EQ(rope.factor, 8);
}

const std::string kLlama3 =
    "\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": "
    "4.0, \"original_max_position_embeddings\": 64";
const std::string kYarn =
    "\"type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 64";

TEST(RopeConfig, EverySpellingOfOneRopeGivesTheSameConfig) {
  const std::string parameters = "{" + kLlama3 + ", \"rope_theta\": 500000.0}";
  const ModelConfig expected =
      read("llama", "\"rope_theta\": 500000.0, \"rope_scaling\": {" + kLlama3 + "}");
  EXPECT_EQ(expected.ropes[0].scaling, RopeScaling::kLlama3);
  EXPECT_EQ(expected.ropes[0].theta, 500000);
  for (const std::string& more :
       {"\"rope_parameters\": " + parameters,
        "\"rope_theta\": 500000.0, \"rope_parameters\": {" + kLlama3 + "}",
        "\"rope_theta\": 1, \"rope_parameters\": " + parameters,
        "\"rope_scaling\": " + parameters,
        "\"rope_scaling\": {}, \"rope_parameters\": " + parameters,
        "\"rope_scaling\": null, \"rope_parameters\": " + parameters,
        "\"rope_parameters\": {}, \"rope_scaling\": " + parameters,
        "\"rope_scaling\": " + parameters + ", \"rope_parameters\": " + parameters,
        "\"rope_parameters\": {\"full_attention\": " + parameters + "}",
        "\"rope_parameters\": {\"full_attention\": " + parameters +
            ", \"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": 10}}",
        "\"rope_parameters\": {\"full_attention\": " + parameters +
            ", \"sliding_attention\": null, \"chunked_attention\": {\"rope_type\": \"own\"}}",
        "\"rope_theta\": 500000.0, \"rope_parameters\": {\"full_attention\": {" + kLlama3 + "}}",
        "\"rope_theta\": 1, \"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": "
        "\"default\", \"full_attention\": {" +
            kLlama3 + "}}",
        "\"rope_scaling\": {\"full_attention\": " + parameters + "}",
        "\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 500000.0}}, "
        "\"rope_scaling\": {" +
            kLlama3 + "}"}) {
    EXPECT_EQ(read("llama", more), expected) << more;
  }
}

TEST(RopeConfig, EachKindOfLayerHasItsRope) {
  const std::string kinds =
      "\"sliding_window\": 16, \"rope_parameters\": {\"full_attention\": {\"rope_theta\": 1e6, "
      "\"rope_type\": \"linear\", \"factor\": 2}, \"sliding_attention\": {\"rope_theta\": 1e4}}";
  const ModelConfig mixed =
      read("qwen3", kinds + ", \"use_sliding_window\": true, \"max_window_layers\": 2");
  EXPECT_THAT(mixed.layer_window, ElementsAre(0, 0, 16, 16));
  EXPECT_THAT(mixed.layer_rope, ElementsAre(0, 0, 1, 1));
  ASSERT_EQ(mixed.ropes.size(), 2u);
  EXPECT_EQ(mixed.ropes[0].theta, 1e6);
  EXPECT_EQ(mixed.ropes[0].scaling, RopeScaling::kLinear);
  EXPECT_EQ(mixed.ropes[1].theta, 1e4);
  EXPECT_EQ(mixed.ropes[1].scaling, RopeScaling::kNone);
  const ModelConfig full = read("qwen3", kinds);
  EXPECT_THAT(full.ropes, ElementsAre(mixed.ropes[0]));
  EXPECT_THAT(full.layer_rope, Each(0));
  EXPECT_THAT(read("mistral", kinds).ropes, ElementsAre(mixed.ropes[1]));
}

TEST(RopeConfig, AKindThatLayersNeedMustBeThere) {
  const std::string full = "\"full_attention\": {\"rope_theta\": 1e6}";
  for (const std::string& more :
       {"{" + full + "}", "{" + full + ", \"sliding_attention\": null}"}) {
    const Status status =
        refusal("mistral", "\"sliding_window\": 16, \"rope_parameters\": " + more);
    EXPECT_EQ(error_id(status), "TRI-CONF-003");
    EXPECT_THAT(message_of(status),
                AllOf(HasSubstr("rope_parameters"), HasSubstr("sliding_attention")));
  }
  EXPECT_THAT(
      message_of(refusal("llama", "\"rope_parameters\": {\"main\": {\"rope_theta\": 1e6}}")),
      AllOf(HasSubstr("no \"full_attention\""), HasSubstr("main")));
}

TEST(RopeConfig, KeysOfOtherFamiliesAreRefusedUnlessNeutral) {
  const struct {
    const char* key;
    const char* value;
    const char* neutral;
  } cases[] = {{"mrope_section", "[16, 24, 24]", "[]"},
               {"mrope_interleaved", "true", "false"},
               {"llama_4_scaling_beta", "0.1", "0"},
               {"short_factor", "[1.0, 1.1]", "null"},
               {"long_factor", "[1.0, 1.1]", "null"},
               {"attn_factor", "0.88", "1.0"},
               {"extrapolation_factor", "2", "1"},
               {"alpha", "1000.0", "null"},
               {"unknown", "\"x\"", "\"\""}};
  for (const auto& [key, value, neutral] : cases) {
    for (const char* format :
         {"\"rope_scaling\": {{\"type\": \"default\", \"{}\": {}}}",
          "\"rope_parameters\": {{\"full_attention\": {{\"rope_theta\": 1e6, \"{}\": {}}}}}"}) {
      const auto with = [&](const char* what) {
        return fmt::vformat(format, fmt::make_format_args(key, what));
      };
      const Status status = refusal("llama", with(value));
      EXPECT_EQ(error_id(status), "TRI-CONF-006") << key;
      EXPECT_THAT(message_of(status), AllOf(HasSubstr(key), HasSubstr(value)));
      read("llama", with(neutral));
    }
  }
}

TEST(RopeConfig, OtherTypesAndContradictionsAreRefused) {
  for (const char* type : {"longrope", "su", "mrope", "proportional", "ntk", "axial", ""}) {
    const Status status = refusal(
        "llama", format_text("\"rope_scaling\": {{\"type\": \"{}\", \"factor\": 2}}", type));
    EXPECT_EQ(error_id(status), "TRI-CONF-006") << type;
    EXPECT_THAT(message_of(status), HasSubstr(format_text("\"{}\"", type)));
  }
  for (const char* fields : {"\"type\": \"yarn\", \"rope_type\": \"linear\", \"factor\": 2",
                             "\"type\": 3",
                             "\"type\": \"dynamic\"",
                             "\"type\": \"linear\", \"factor\": Infinity",
                             "\"type\": \"linear\", \"factor\": {\"__float__\": \"Infinity\"}",
                             "\"type\": \"linear\", \"factor\": 0.5",
                             "\"type\": \"linear\", \"factor\": 1e6",
                             "\"rope_theta\": 0",
                             "\"partial_rotary_factor\": 0.5"}) {
    const Status status = refusal("llama", format_text("\"rope_scaling\": {{{}}}", fields));
    EXPECT_EQ(error_id(status), "TRI-CONF-003") << fields << message_of(status);
    EXPECT_THAT(message_of(status), HasSubstr("rope_scaling"));
  }
  EXPECT_EQ(error_id(refusal("llama",
                             "\"rope_parameters\": {\"factor\": 2, \"full_attention\": "
                             "{\"rope_theta\": 1e6}}")),
            "TRI-CONF-006");
}

TEST(RopeConfig, KeysOfAScalingNeedItsType) {
  for (const char* fields : {"\"factor\": 2",
                             "\"low_freq_factor\": 1.0",
                             "\"high_freq_factor\": 4.0",
                             "\"rope_type\": \"default\", \"factor\": 2"}) {
    const Status status = refusal("llama", format_text("\"rope_scaling\": {{{}}}", fields));
    EXPECT_EQ(error_id(status), "TRI-CONF-006") << fields;
    EXPECT_THAT(message_of(status), AllOf(HasSubstr("factor"), HasSubstr("llama3")));
  }
  read("llama", "\"rope_scaling\": {\"rope_type\": \"default\", \"factor\": 1.0}");
  read("llama", "\"rope_scaling\": {\"low_freq_factor\": null}");
}

// Some engines multiply it into the attention factor, transformers ignores it.
TEST(RopeConfig, AnAttnFactorOfYarnIsRefusedWithBothOfItsMeanings) {
  const Status status =
      refusal("llama",
              "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0, \"attn_factor\": "
              "0.8782488562869419}");
  EXPECT_EQ(error_id(status), "TRI-CONF-006");
  EXPECT_THAT(message_of(status),
              AllOf(HasSubstr("\"attn_factor\" 0.8782488562869419"),
                    HasSubstr("\"attention_factor\""),
                    HasSubstr("1.000000"),
                    HasSubstr("1.138629")));
}

TEST(RopeConfig, DynamicIsTheDefaultUpToTheStatedLength) {
  const std::string length = "\"max_position_embeddings\": 64, ";
  EXPECT_EQ(read("llama", length + "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}"),
            read("llama", length + "\"rope_scaling\": null"));
}

TEST(RopeConfig, YarnAsModelCardsAskToAddItExtendsTheLength) {
  const auto length = [](int stated, const std::string& scaling) {
    return read("qwen2",
                format_text(
                    "\"max_position_embeddings\": {}, \"rope_scaling\": {{{}}}", stated, scaling))
        .max_positions;
  };
  EXPECT_EQ(length(64, kYarn), 256);
  EXPECT_EQ(length(80, kYarn), 256);   // Qwen3: 40960 beside an original length of 32768
  EXPECT_EQ(length(256, kYarn), 256);  // published with the extended length
  EXPECT_EQ(length(512, kYarn), 512);
  EXPECT_EQ(length(64, "\"type\": \"yarn\", \"factor\": 2.5"), 160);
  EXPECT_EQ(length(64, "\"type\": \"linear\", \"factor\": 2.5"), 160);
  EXPECT_EQ(length(512, kLlama3), 512);  // states the length that it serves
}

}  // namespace rope_config_test
}  // namespace trireme
