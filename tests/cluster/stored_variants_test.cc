// Golden models as other programs save them: under other prefixes, with tensors of no use, with the
// head or the embedding alone, or with a head that config.json denies. Logits, hidden states and
// greedy tokens in float32 against the reference, on one rank and on four.
#include <gtest/gtest.h>

#include <cstring>

#include "model/checkpoint/tensor_check.h"
#include "tests/cluster/golden_case.h"
#include "tests/cluster/local_workers.h"
#include "tests/model/checkpoint_editor.h"

namespace trireme {
namespace {

const std::string kHead = "lm_head.weight";
const std::string kEmbedding = "model.embed_tokens.weight";

struct Variant {
  const char* name;
  const char* model;
  std::function<void(EditedCheckpoint&)> edit;
};

std::function<void(EditedCheckpoint&)> below(const std::string& prefix, const std::string& head) {
  return [=](EditedCheckpoint& edited) {
    edited.rename_all([&](const std::string& name) {
      return name == kHead ? head : prefix + name.substr(std::string("model.").size());
    });
  };
}

void leave_as_published(EditedCheckpoint& /*edited*/) {}

void add_unused_tensors(EditedCheckpoint& edited) {
  edited.tensors["vision_tower.layers.0.weight"] = zeros("F8_E4M3", {4, 4}, 8);
  edited.tensors["multi_modal_projector.scales"] = zeros("F8_E8M0", {4}, 8);
  edited.tensors["multi_modal_projector.packed"] = zeros("F4", {3, 2}, 4);
  edited.tensors["x.counts"] = zeros("U16", {5}, 16);
  edited.tensors["model.rotary_emb.inv_freq"] = zeros("F64", {8}, 64);
}

void store_head_alone(EditedCheckpoint& edited) {
  edited.tensors[kHead] = edited.tensors.at(kEmbedding);
  edited.tensors.erase(kEmbedding);
}

// The embedding under its prefix, the head, which serves for both, under the outer part.
void store_wrapped_head_alone(EditedCheckpoint& edited) {
  store_head_alone(edited);
  below("language_model.model.", "language_model.lm_head.weight")(edited);
}

void store_equal_copy(EditedCheckpoint& edited) {
  edited.tensors[kHead] = edited.tensors.at(kEmbedding);
}

void say_tied(EditedCheckpoint& edited) { edited.config["tie_word_embeddings"] = true; }

void say_untied_with_copy(EditedCheckpoint& edited) {
  store_equal_copy(edited);
  edited.config["tie_word_embeddings"] = false;
}

void take_text_config(EditedCheckpoint& edited) {
  edited.config = nlohmann::json(edited.config["text_config"]);
}

const Variant kVariants[] = {
    {"NoPrefix", "llama-gqa", below("", kHead)},
    {"LanguageModelModel",
     "llama-gqa",
     below("language_model.model.", "language_model.lm_head.weight")},
    {"ModelLanguageModel", "llama-gqa", below("model.language_model.", kHead)},
    {"BaseModelModel", "llama-gqa", below("base_model.model.", "base_model.lm_head.weight")},
    {"Peft", "llama-gqa", below("base_model.model.model.", "base_model.model.lm_head.weight")},
    {"Module", "qwen2-tied", below("module.", "")},
    {"ModuleModel", "mistral-window", below("module.model.", "module.lm_head.weight")},
    {"Compiled", "llama-gqa", below("_orig_mod.model.", "_orig_mod.lm_head.weight")},
    {"AnEmbeddingModel", "qwen3-embedding", leave_as_published},
    {"AVisionModel", "mistral3-wrapped", leave_as_published},
    {"UnusedTensors", "llama-gqa", add_unused_tensors},
    {"TheHeadAlone", "llama-tied-fp32", store_head_alone},
    {"TheWrappedHeadAlone", "qwen2-tied", store_wrapped_head_alone},
    {"AnEqualCopy", "qwen2-tied", store_equal_copy},
    {"AnEqualCopyOfAnUntiedModel", "qwen2-tied", say_untied_with_copy},
    {"AnotherHeadThanConfigSays", "llama-gqa", say_tied},
    {"AVisionModelsDecoder", "mistral3-wrapped", take_text_config},
};

class StoredVariant : public testing::TestWithParam<Variant> {};

void expect_reference(const std::string& folder) {
  const GoldenCase golden(folder, DType::kFloat32);
  const auto source = open_model(folder);
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const auto unused = check_tensors(TensorTable(source->config), *source->checkpoint);
  ASSERT_TRUE(unused.ok()) << message_of(unused.status());
  for (const Partition partition : {Partition{1, 1}, Partition{2, 2}}) {
    SCOPED_TRACE(format_text("tp {}, pp {}", partition.tp, partition.pp));
    LocalRun run;
    run.model = folder;
    run.partition = partition;
    run.options.dtype = DType::kFloat32;
    run.options.threads = 1;
    run.options.max_slots = 8;
    const Outcome outcome = run_local_group(run, golden.requests());
    golden.check(outcome);
    golden.check_hidden(source->config, outcome);
  }
}

TEST_P(StoredVariant, GivesTheOutputsOfTheReference) {
  EditedCheckpoint edited(std::string(TRIREME_TEST_DATA "/golden/models/") + GetParam().model);
  GetParam().edit(edited);
  expect_reference(edited.write(std::string("variant_") + GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints,
                         StoredVariant,
                         testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

void scale_by_two(std::string& bytes) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, &bytes[at], sizeof value);
    value *= 2;
    std::memcpy(&bytes[at], &value, sizeof value);
  }
}

// A head of twice the embedding's values doubles the logits exactly, although config.json ties it.
TEST(StoredHead, AnAlteredHeadIsUsed) {
  EditedCheckpoint edited(TRIREME_TEST_DATA "/golden/models/llama-tied-fp32");
  store_equal_copy(edited);
  scale_by_two(edited.tensors.at(kHead).bytes);
  const std::string folder = edited.write("altered_head");
  EditedTensors expected = read_tensors(folder + "/expected.safetensors");
  for (auto& [name, tensor] : expected) {
    if (name.ends_with(".logits") || name.ends_with(".greedy_margin")) scale_by_two(tensor.bytes);
  }
  write_tensors(folder + "/expected.safetensors", expected);
  expect_reference(folder);
}

}  // namespace
}  // namespace trireme
