// Which part of a config.json is the text model, and which checkpoints generate text.
#include "model/config/text_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/config/read_model_config.h"

namespace trireme {
namespace text_model_test {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kGoldens[] = {"llama-gqa",
                                    "llama-nested-rope",
                                    "llama-rope-llama3-sharded",
                                    "llama-tied-fp32",
                                    "mistral-window",
                                    "qwen2-tied",
                                    "qwen3-embedding",
                                    "qwen3-qk-norm"};

json config_of_golden(const std::string& name) {
  std::ifstream file(format_text("{}/golden/models/{}/config.json", TRIREME_TEST_DATA, name));
  return json::parse(file);
}

StatusOr<ModelConfig> parse(const json& config) {
  return parse_model_config(config.dump(), "DIR/config.json");
}

json small(const std::string& type) {
  return {{"model_type", type},
          {"vocab_size", 320},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 8}};
}

json wrapped(const json& inner) {
  return {{"model_type", "llava"},
          {"architectures", {"LlavaForConditionalGeneration"}},
          {"image_token_index", 310},
          {"vision_config", {{"model_type", "clip_vision_model"}, {"hidden_size", 16}}},
          {"text_config", inner}};
}

TEST(TextModel, AGoldenInsideTextConfigGivesTheSameConfig) {
  for (const char* name : kGoldens) {
    const json config = config_of_golden(name);
    const auto plain = parse(config);
    ASSERT_TRUE(plain.ok()) << name << message_of(plain.status());
    const auto inside = parse(wrapped(config));
    ASSERT_TRUE(inside.ok()) << name << message_of(inside.status());
    EXPECT_EQ(*inside, *plain) << name;
  }
}

TEST(TextModel, WhatTheInnerConfigLacksComesFromTheOuterThenFromTheFamily) {
  json inner = small("mistral");
  const ModelConfig bare = parse(wrapped(inner)).value();
  EXPECT_FALSE(bare.tied_embeddings);
  EXPECT_THAT(bare.eos_ids, ElementsAre(2));
  EXPECT_TRUE(bare.eos_is_implied);
  EXPECT_EQ(bare.bos_id, 1);
  EXPECT_EQ(bare.stored_dtype, DType::kBFloat16);
  json outer = wrapped(inner);
  outer["tie_word_embeddings"] = true;
  outer["eos_token_id"] = {7, 9};
  outer["bos_token_id"] = 5;
  outer["torch_dtype"] = "float16";
  const ModelConfig from_outer = parse(outer).value();
  EXPECT_TRUE(from_outer.tied_embeddings);
  EXPECT_THAT(from_outer.eos_ids, ElementsAre(7, 9));
  EXPECT_FALSE(from_outer.eos_is_implied);
  EXPECT_EQ(from_outer.bos_id, 5);
  EXPECT_EQ(from_outer.stored_dtype, DType::kFloat16);
  outer["text_config"].update(
      {{"tie_word_embeddings", false}, {"eos_token_id", 3}, {"dtype", "float32"}});
  const ModelConfig from_inner = parse(outer).value();
  EXPECT_TRUE(from_inner.tied_embeddings);  // by the outer key, as in the reference implementation
  EXPECT_THAT(from_inner.eos_ids, ElementsAre(3));
  EXPECT_EQ(from_inner.stored_dtype, DType::kFloat32);
}

TEST(TextModel, AWrapperTiesByEitherKeyOrByItsDefault) {
  const struct {
    const char* wrapper;
    json outer;
    json inner;
    bool tied;
    bool implied;
  } cases[] = {{"mistral3", nullptr, nullptr, true, true},
               {"mistral3", nullptr, false, true, true},
               {"mistral3", nullptr, true, true, false},
               {"mistral3", false, nullptr, false, false},
               {"mistral3", false, true, true, false},
               {"internvl", nullptr, nullptr, true, true},
               {"llava", nullptr, nullptr, false, false},
               {"llava", nullptr, true, true, false},
               {"llava", true, false, true, false}};
  for (const auto& one : cases) {
    json inner = small("llama");
    inner["tie_word_embeddings"] = one.inner;
    json outer = wrapped(inner);
    outer.update({{"model_type", one.wrapper}, {"tie_word_embeddings", one.outer}});
    const ModelConfig config = parse(outer).value();
    EXPECT_EQ(config.tied_embeddings, one.tied) << outer;
    EXPECT_EQ(config.tie_is_implied, one.implied) << outer;
  }
}

TEST(TextModel, TheInnerTypeMayBeThatOfTheWrapper) {
  const std::map<std::string, std::string> types = {{"fast_vlm", "qwen2"},
                                                    {"musicflamingo", "qwen2"},
                                                    {"qianfan_ocr", "qwen3"},
                                                    {"qwen3_asr", "qwen3"},
                                                    {"fun_asr_nano", "qwen3"},
                                                    {"vibevoice", "qwen2"},
                                                    {"vibevoice_asr", "qwen2"},
                                                    {"video_llama_3", "qwen2"},
                                                    {"omniasr", "llama"},
                                                    {"pp_chart2table", "qwen2"},
                                                    {"moss_transcribe_diarize", "qwen3"},
                                                    {"deepseek_vl_hybrid", "llama"}};
  for (const auto& [wrapper, inner] : types) {
    json text = small("");
    text.erase("model_type");
    json outer = wrapped(text);
    outer["model_type"] = wrapper;
    const auto config = parse(outer);
    ASSERT_TRUE(config.ok()) << wrapper << message_of(config.status());
    EXPECT_EQ(config->model_type, inner);
  }
}

// The reference implementation fills what their text_config lacks with values of their own.
TEST(TextModel, WrappersWithOtherDefaultsMustStateTheKeys) {
  for (const char* wrapper : {"glmasr", "voxtral"}) {
    json inner = small("llama");
    inner.update({{"num_key_value_heads", 8},
                  {"head_dim", 8},
                  {"rms_norm_eps", 1e-5},
                  {"max_position_embeddings", 64},
                  {"rope_theta", 1e4}});
    json outer = wrapped(inner);
    outer["model_type"] = wrapper;
    EXPECT_TRUE(parse(outer).ok());
    for (const char* key : {"hidden_size", "rms_norm_eps", "rope_theta", "num_key_value_heads"}) {
      json lacking = outer;
      lacking["text_config"].erase(key);
      const Status status = parse(lacking).status();
      EXPECT_EQ(error_id(status), "TRI-CONF-003") << key;
      EXPECT_THAT(message_of(status), HasSubstr(key));
    }
  }
}

// Files of wrappers state of the text model only what differs from its family.
TEST(TextModel, AbsentSizesInsideTextConfigAreThoseOfTheFamily) {
  const ModelConfig config =
      parse(wrapped({{"model_type", "llama"}, {"vocab_size", 32064}, {"rms_norm_eps", 1e-5}}))
          .value();
  EXPECT_EQ(config.vocabulary_size, 32064);
  EXPECT_EQ(config.hidden_size, 4096);
  EXPECT_EQ(config.intermediate_size, 11008);
  EXPECT_EQ(config.num_layers, 32);
  EXPECT_EQ(config.num_heads, 32);
  json inner = small("");
  inner.erase("model_type");
  EXPECT_EQ(parse(wrapped(inner))->model_type, "llama");  // that of llava
  json alone = small("llama");
  alone.erase("hidden_size");
  EXPECT_EQ(error_id(parse(alone).status()), "TRI-CONF-003");
}

TEST(TextModel, AnInnerModelThatIsNotSupportedIsNamed) {
  const Status status = parse(wrapped(small("gemma3_text"))).status();
  EXPECT_EQ(error_id(status), "TRI-CONF-004");
  EXPECT_THAT(message_of(status),
              AllOf(HasSubstr("text_config"),
                    HasSubstr("\"gemma3_text\""),
                    HasSubstr("\"llava\""),
                    HasSubstr("llama, mistral, qwen2, qwen3")));
  json list = wrapped(json::array());
  EXPECT_EQ(error_id(parse(list).status()), "TRI-CONF-003");
  list["text_config"] = nullptr;
  EXPECT_EQ(error_id(parse(list).status()), "TRI-CONF-004");
}

TEST(TextModel, RefusalsSeeTheInnerAndTheOuterConfig) {
  const json quantised = {{"quantization_config", {{"bits", 4}}}};
  const json capped = {{"final_logit_softcapping", 30}};
  for (const auto& [more, id] : {std::pair(quantised, "TRI-CONF-005"), {capped, "TRI-CONF-010"}}) {
    json outer = wrapped(small("llama"));
    outer.update(more);
    EXPECT_EQ(error_id(parse(outer).status()), id);
    json inner = small("llama");
    inner.update(more);
    const Status status = parse(wrapped(inner)).status();
    EXPECT_EQ(error_id(status), id);
    EXPECT_THAT(message_of(status), HasSubstr("DIR/config.json, text_config"));
  }
}

TEST(TextModel, ArchitecturesThatGenerateTextAreTaken) {
  const json taken[] = {nullptr,
                        json::array(),
                        "LlamaForCausalLM",
                        {"LlamaForCausalLM"},
                        {"LLaMAForCausalLM"},
                        {"LlamaLMHeadModel"},
                        {"LlamaForCausalLM", "OwnForCausalLM"}};
  for (const json& architectures : taken) {
    json config = small("llama");
    config["architectures"] = architectures;
    EXPECT_TRUE(parse(config).ok()) << architectures;
  }
}

TEST(TextModel, OtherTasksAreRefusedByName) {
  const json refused[] = {{"Qwen3ForSequenceClassification"},
                          {"LlamaForTokenClassification"},
                          {"LlamaForQuestionAnswering"},
                          {"Qwen3Model"},
                          {"Qwen2ForRewardModel"},
                          {"LlamaForCausalLMEagle"},
                          {"LlamaForConditionalGeneration"},
                          {"LlamaForCausalLM", "LlamaForSequenceClassification"},
                          "MistralModel",
                          {""},
                          {3}};
  for (const json& architectures : refused) {
    for (const char* type : {"llama", "mistral", "qwen2", "qwen3"}) {
      json config = small(type);
      config["architectures"] = architectures;
      const Status status = parse(config).status();
      EXPECT_EQ(error_id(status), "TRI-CONF-011") << architectures;
      EXPECT_THAT(message_of(status),
                  AllOf(HasSubstr(architectures.dump()), HasSubstr("ForCausalLM")));
    }
  }
  json wrapper = wrapped(small("llama"));
  wrapper["architectures"] = {"LlavaForSequenceClassification"};
  EXPECT_EQ(error_id(parse(wrapper).status()), "TRI-CONF-011");
}

TEST(TextModel, OtherFamiliesAreRefusedByName) {
  const struct {
    const char* type;
    const char* architecture;
  } families[] = {{"bert", "BertModel"},
                  {"cohere", "CohereForCausalLM"},
                  {"cohere2", "Cohere2ForCausalLM"},
                  {"distilbert", "DistilBertModel"},
                  {"falcon", "FalconForCausalLM"},
                  {"gemma", "GemmaForCausalLM"},
                  {"gemma2", "Gemma2ForCausalLM"},
                  {"gemma3_text", "Gemma3ForCausalLM"},
                  {"glm4", "Glm4ForCausalLM"},
                  {"gpt_neox", "GPTNeoXForCausalLM"},
                  {"gpt_oss", "GptOssForCausalLM"},
                  {"gpt2", "GPT2LMHeadModel"},
                  {"granite", "GraniteForCausalLM"},
                  {"mixtral", "MixtralForCausalLM"},
                  {"modernbert", "ModernBertModel"},
                  {"opt", "OPTForCausalLM"},
                  {"phi3", "Phi3ForCausalLM"},
                  {"qwen2_moe", "Qwen2MoeForCausalLM"},
                  {"qwen3_moe", "Qwen3MoeForCausalLM"},
                  {"roberta", "RobertaModel"},
                  {"smollm3", "SmolLM3ForCausalLM"}};
  for (const auto& [type, architecture] : families) {
    json config = small(type);
    config["architectures"] = {architecture};
    const Status status = parse(config).status();
    EXPECT_EQ(error_id(status), "TRI-CONF-004");
    EXPECT_THAT(message_of(status), AllOf(HasSubstr(type), HasSubstr(architecture)));
  }
}

// The golden configs as both generations of tools write them.
TEST(TextModel, OldAndNewSpellingsGiveTheSameConfig) {
  for (const char* name : kGoldens) {
    const json original = config_of_golden(name);
    json rope = original.value("rope_parameters", json());
    if (rope.contains("full_attention")) rope = rope["full_attention"];
    if (rope.is_null()) {
      rope = original.value("rope_scaling", json()).is_null() ? json{{"rope_type", "default"}}
                                                              : original["rope_scaling"];
      rope["rope_theta"] = original["rope_theta"];
    }
    const std::string dtype =
        original.contains("dtype") ? original["dtype"] : original["torch_dtype"];
    json newer = original;
    for (const char* key : {"rope_theta", "rope_scaling", "torch_dtype"}) newer.erase(key);
    newer.update({{"rope_parameters", rope}, {"dtype", dtype}});
    json older = original;
    for (const char* key : {"rope_parameters", "dtype"}) older.erase(key);
    const double theta = rope["rope_theta"];
    rope.erase("rope_theta");
    const bool plain = rope["rope_type"] == "default";
    older.update({{"rope_theta", theta}, {"torch_dtype", dtype}});
    older["rope_scaling"] = plain ? json() : rope;
    const ModelConfig expected = parse(original).value();
    EXPECT_EQ(parse(newer).value(), expected) << name;
    EXPECT_EQ(parse(older).value(), expected) << name;
    newer["rope_parameters"] = {{"full_attention", newer["rope_parameters"]},
                                {"sliding_attention", newer["rope_parameters"]}};
    EXPECT_EQ(parse(newer).value(), expected) << name;
  }
}

}  // namespace text_model_test
}  // namespace trireme
