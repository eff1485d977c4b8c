// Checkpoints that lack a tensor, have one of a wrong shape or type, or one too many.
#include "model/checkpoint/tensor_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/text.h"
#include "model/checkpoint/tensor_names.h"
#include "tests/model/model_shape.h"

namespace trireme {
namespace tensor_check_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class InMemory final : public Checkpoint {
 public:
  explicit InMemory(const TensorTable& table) {
    for (const TensorEntry& entry : table.entries()) {
      StoredTensor& tensor = tensors[entry.names[0]];
      tensor.name = entry.names[0];
      tensor.dtype = DType::kBFloat16;
      tensor.shape = {entry.rows};
      if (!entry.is_vector) tensor.shape.push_back(entry.columns);
    }
  }
  const StoredTensor* find(const std::string& name) const override {
    const auto found = tensors.find(name);
    return found == tensors.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    return names;
  }
  Status read(const StoredTensor&, IndexRange, IndexRange, std::span<std::byte>) override {
    return ok_status();
  }
  int64_t bytes_read() const override { return 0; }
  std::string fingerprint() const override { return ""; }

  std::map<std::string, StoredTensor> tensors;
};

constexpr char kUp[] = "model.layers.1.mlp.up_proj.weight";

TEST(CheckTensors, MissingTensorsAreNamed) {
  const TensorTable table(uneven_shape());
  InMemory checkpoint(table);
  ASSERT_TRUE(check_tensors(table, checkpoint).ok());
  checkpoint.tensors.erase(kUp);
  Status status = check_tensors(table, checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-007");
  EXPECT_THAT(message_of(status), HasSubstr(kUp));
  checkpoint.tensors.erase("lm_head.weight");
  EXPECT_THAT(message_of(check_tensors(table, checkpoint).status()), HasSubstr("2 tensors are"));
}

TEST(CheckTensors, AWrongShapeIsNamedWithBothShapes) {
  const TensorTable table(uneven_shape());
  InMemory checkpoint(table);
  checkpoint.tensors[kUp].shape = {8, 6};
  const Status status = check_tensors(table, checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-008");
  EXPECT_THAT(message_of(status), HasSubstr("[8, 6]"));
  EXPECT_THAT(message_of(status), HasSubstr("[6, 8]"));
}

TEST(CheckTensors, OnlyFloatTensorsAreAcceptedAsWeights) {
  const TensorTable table(uneven_shape());
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    InMemory checkpoint(table);
    checkpoint.tensors[kUp].dtype = dtype;
    EXPECT_TRUE(check_tensors(table, checkpoint).ok()) << name_of(dtype);
  }
  for (const DType dtype :
       {DType::kFloat64, DType::kBool, DType::kInt64, DType::kUint64, DType::kComplex64}) {
    InMemory checkpoint(table);
    checkpoint.tensors[kUp].dtype = dtype;
    const Status status = check_tensors(table, checkpoint).status();
    EXPECT_EQ(error_id(status), "TRI-LOAD-009");
    EXPECT_THAT(message_of(status),
                AllOf(HasSubstr(kUp),
                      HasSubstr(format_text("stored as {}, allowed are bfloat16, float16 and "
                                            "float32",
                                            name_of(dtype)))));
  }
}

// Packed weights have another shape, too; the type is the cause.
TEST(CheckTensors, QuantisedWeightsAreRefusedByTheNameOfTheirType) {
  const TensorTable table(uneven_shape());
  for (const DType dtype : {DType::kInt8,
                            DType::kUint8,
                            DType::kInt16,
                            DType::kUint16,
                            DType::kInt32,
                            DType::kUint32,
                            DType::kF8E4M3,
                            DType::kF8E5M2,
                            DType::kF8E8M0,
                            DType::kF8E4M3FNUZ,
                            DType::kF8E5M2FNUZ,
                            DType::kF6E2M3,
                            DType::kF6E3M2,
                            DType::kF4}) {
    InMemory checkpoint(table);
    checkpoint.tensors[kUp].dtype = dtype;
    checkpoint.tensors[kUp].shape = {6, 4};
    const Status status = check_tensors(table, checkpoint).status();
    EXPECT_EQ(error_id(status), "TRI-LOAD-009");
    EXPECT_THAT(
        message_of(status),
        AllOf(HasSubstr(kUp),
              HasSubstr(format_text("quantised weights ({}) are not supported, use the bf16 one",
                                    name_of(dtype)))));
  }
}

// A stored tensor that the table does not expect, and what is said about it.
struct ExtraCase {
  const char* name;
  std::vector<int64_t> shape;
  const char* words;  // of the refusal; "": a warning
};

const ExtraCase kExtras[] = {
    // Parts of the decoder, whose absence from the forward pass changes the answer.
    {"model.layers.0.self_attn.q_proj.bias", {24}, "config.json is of another model"},
    {"model.layers.1.mlp.down_proj.bias", {8}, "config.json is of another model"},
    {"model.layers.2.input_layernorm.bias", {8}, "config.json is of another model"},
    {"model.layers.0.self_attn.q_norm.weight", {6}, "config.json is of another model"},
    {"model.layers.0.self_attn.sinks", {4}, "config.json is of another model"},
    {"model.layers.0.self_attn.bias", {8}, "config.json is of another model"},
    {"model.layers.0.pre_feedforward_layernorm.weight", {8}, "config.json is of another model"},
    {"model.layers.0.block_sparse_moe.gate.weight", {2, 8}, "config.json is of another model"},
    {"model.layers.3.mlp.up_proj.weight", {6, 8}, "config.json is of another model"},
    {"model.norm.bias", {8}, "config.json is of another model"},
    {"model.embed_tokens.bias", {8}, "config.json is of another model"},
    {"model.embed_positions.weight", {9, 8}, "config.json is of another model"},
    {"model.embed_layernorm.weight", {8}, "config.json is of another model"},
    {"model.final_layernorm.weight", {8}, "config.json is of another model"},
    {"model.position_embeddings.weight", {9, 8}, "config.json is of another model"},
    {"model.additional_embedding.weight", {2, 8}, "config.json is of another model"},
    {"model.per_layer_embed.weight", {11, 8}, "config.json is of another model"},
    {"model.wpe.weight", {9, 8}, "config.json is of another model"},
    {"model.ln_f.weight", {8}, "config.json is of another model"},
    {"model.ln_embed.weight", {8}, "config.json is of another model"},
    {"model.logit_scale", {}, "config.json is of another model"},
    {"final_layernorm.weight", {8}, "config.json is of another model"},
    {"lm_head_norm.weight", {8}, "config.json is of another model"},
    {"final_logits_bias", {1, 11}, "config.json is of another model"},
    {"logit_scale", {}, "config.json is of another model"},
    {"lm_head.bias", {11}, "config.json is of another model"},
    {"model.lm_head.bias", {11}, "config.json is of another model"},
    {"model.layers.0.self_attn.q_proj.lora_A.weight", {2, 8}, "weights of an adapter"},
    {"model.layers.0.mlp.up_proj.lora_B.default.weight", {6, 2}, "weights of an adapter"},
    {"model.layers.0.mlp.up_proj.weight_scale", {6, 1}, "quantised weights are not supported"},
    {"model.layers.0.mlp.up_proj.weight_scale_inv", {1, 1}, "quantised weights are not supported"},
    {"model.layers.0.mlp.up_proj.scales", {1, 6}, "quantised weights are not supported"},
    {"model.layers.0.mlp.up_proj.qweight", {1, 6}, "quantised weights are not supported"},
    {"model.layers.0.self_attn.k_proj.k_scale", {}, "quantised weights are not supported"},
    // Buffers, which are computed anew.
    {"model.layers.0.self_attn.rotary_emb.inv_freq", {3}, ""},
    {"model.rotary_emb.inv_freq", {3}, ""},
    {"model.layers.0.self_attn.rope.full_attention_inv_freq", {3}, ""},
    {"model.rotary_emb.original_inv_freq", {3}, ""},
    {"model.layers.1.self_attn.rotary_emb.cos_cached", {1, 1, 9, 6}, ""},
    {"model.layers.1.self_attn.rotary_emb.sin_cached", {1, 1, 9, 6}, ""},
    {"model.layers.0.attn.bias", {1, 1, 9, 9}, ""},
    {"model.layers.0.self_attn.bias", {1, 1, 9, 9}, ""},
    {"model.layers.0.attn.masked_bias", {}, ""},
    {"model.layers.0.self_attn.masked_bias", {}, ""},
    {"model.layers.0.masked_bias", {}, ""},
    {"model.layers.0.attn.causal_mask", {9, 9}, ""},
    {"model.embed_positions.position_ids", {1, 9}, ""},
    {"model.position_ids", {1, 9}, ""},
    // Outside the decoder.
    {"x.counts", {8}, ""},
    {"score.weight", {2, 8}, ""},
    {"v_head.summary.weight", {1, 8}, ""},
    {"vision_tower.layers.0.norm.weight", {8}, ""},
    {"model.vision_tower.layers.0.norm.weight", {8}, ""},
    {"model.visual.patch_embed.proj.weight", {8, 3}, ""},
    {"model.embed_vision.embedding_norm.weight", {8}, ""},
    {"model.mtp.layers.0.mlp.up_proj.weight", {6, 8}, ""},
    {"multi_modal_projector.norm.weight", {8}, ""},
    {"model.image_newline", {8}, ""},
    {"model.connector_norm.weight", {8}, ""},
    {"projector_norm.weight", {8}, ""},
    {"newline_embedding.weight", {1, 8}, ""},
    {"prompt_embeddings", {5, 8}, ""},
};

class Extra : public testing::TestWithParam<ExtraCase> {};

TEST_P(Extra, IsRefusedWhereItBelongsToTheDecoder) {
  const TensorTable table(uneven_shape());
  InMemory checkpoint(table);
  StoredTensor& tensor = checkpoint.tensors[GetParam().name];
  tensor.name = GetParam().name;
  tensor.shape = GetParam().shape;
  const auto unused = check_tensors(table, checkpoint);
  if (std::string(GetParam().words).empty()) {
    ASSERT_TRUE(unused.ok()) << message_of(unused.status());
    EXPECT_THAT(*unused, ElementsAre(GetParam().name));
    EXPECT_THAT(
        unused_warning(*unused),
        AllOf(HasSubstr("1 tensor of the checkpoint is not used"), HasSubstr(GetParam().name)));
  } else {
    EXPECT_EQ(error_id(unused.status()), "TRI-LOAD-021");
    EXPECT_THAT(message_of(unused.status()),
                AllOf(HasSubstr(GetParam().name), HasSubstr(GetParam().words)));
  }
}

INSTANTIATE_TEST_SUITE_P(Names, Extra, testing::ValuesIn(kExtras), [](const auto& info) {
  return format_text("case{}", info.index);
});

// Beside the decoder of a wrapper stand norms and scales of its other parts.
TEST(CheckTensors, OutsideAWrappersDecoderOnlyAHeadBelongsToIt) {
  ModelConfig config = uneven_shape();
  config.names.decoder_prefix = "language_model.model.";
  config.names.embedding = "language_model.model.embed_tokens.weight";
  config.names.head = "language_model.lm_head.weight";
  const TensorTable table(config);
  const auto status = [&](const std::string& name) {
    InMemory checkpoint(table);
    checkpoint.tensors[name].name = name;
    return check_tensors(table, checkpoint).status();
  };
  for (const char* name : {"logit_scale",
                           "post_layernorm.weight",
                           "model.embeddings.weight",
                           "multi_modal_projector.norm.weight"}) {
    EXPECT_TRUE(status(name).ok()) << message_of(status(name));
  }
  for (const char* name : {"lm_head.bias",
                           "language_model.final_logits_bias",
                           "language_model.model.wpe.weight",
                           "language_model.final_layernorm.weight"}) {
    EXPECT_EQ(error_id(status(name)), "TRI-LOAD-021") << name;
  }
}

TEST(CheckTensors, FiveUnexpectedTensorsAreNamed) {
  const TensorTable table(uneven_shape());
  InMemory checkpoint(table);
  for (int i = 0; i < 7; ++i) {
    const std::string name = format_text("model.layers.0.extra{}", i);
    checkpoint.tensors[name].name = name;
  }
  EXPECT_THAT(message_of(check_tensors(table, checkpoint).status()),
              AllOf(HasSubstr("7 stored tensors"),
                    HasSubstr("layers.0.extra4, ...;"),
                    Not(HasSubstr("extra5"))));
}

TEST(CheckTensors, ATiedHeadsCopyIsExpected) {
  ModelConfig config = uneven_shape();
  config.tied_embeddings = true;
  const TensorTable table(config);
  InMemory checkpoint(table);
  checkpoint.tensors["lm_head.weight"] = checkpoint.tensors.at("model.embed_tokens.weight");
  const auto unused = check_tensors(table, checkpoint);
  ASSERT_TRUE(unused.ok()) << message_of(unused.status());
  EXPECT_THAT(*unused, IsEmpty());
}

TEST(CheckTensors, MissingTensorsAreShownWithWhatIsStoredInstead) {
  const TensorTable table(uneven_shape());
  InMemory packed(table);
  packed.tensors.erase(kUp);
  packed.tensors["model.layers.1.mlp.up_proj.qweight"].name = "model.layers.1.mlp.up_proj.qweight";
  EXPECT_THAT(message_of(check_tensors(table, packed).status()),
              AllOf(HasSubstr(kUp),
                    HasSubstr("stored instead: model.layers.1.mlp.up_proj.qweight"),
                    HasSubstr("quantised")));
  InMemory other(table);
  other.tensors.clear();
  other.tensors["gpt.wte.weight"].name = "gpt.wte.weight";
  EXPECT_THAT(message_of(check_tensors(table, other).status()),
              AllOf(HasSubstr("30 tensors are missing"), HasSubstr("gpt.wte.weight")));
}

TEST(CheckTensors, WithoutAnyLayerTheOtherTensorsAreShown) {
  const TensorTable table(uneven_shape());
  for (const char* prefix : {"transformer.", "backbone.", "model.decoder."}) {
    InMemory checkpoint(table);
    std::map<std::string, StoredTensor> renamed;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      const bool is_head = name == "lm_head.weight";
      const std::string other = is_head ? name : prefix + name.substr(6);
      (renamed[other] = tensor).name = other;
    }
    checkpoint.tensors = renamed;
    EXPECT_THAT(message_of(check_tensors(table, checkpoint).status()),
                AllOf(HasSubstr("29 tensors are missing"),
                      HasSubstr(format_text("stored instead: {}embed_tokens.weight", prefix))));
  }
}

TEST(CheckTensors, AHostileNameStaysOnOneShortLine) {
  const TensorTable table(uneven_shape());
  InMemory checkpoint(table);
  const std::string name = "model.layers.0.\n\x1b[31m" + std::string(5000, 'x');
  checkpoint.tensors[name].name = name;
  const std::string message = message_of(check_tensors(table, checkpoint).status());
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 400u);
}

}  // namespace tensor_check_test
}  // namespace trireme