// Which stored tensor is which: prefixes of names, and tying by what is stored.
#include "model/checkpoint/stored_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/text.h"
#include "model/checkpoint/model_source.h"
#include "model/checkpoint/tensor_check.h"
#include "tests/model/checkpoint_editor.h"

namespace trireme {
namespace stored_names_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kUntied = TRIREME_TEST_DATA "/golden/models/llama-gqa";
const std::string kTied = TRIREME_TEST_DATA "/golden/models/llama-tied-fp32";
const std::string kEmbedding = "model.embed_tokens.weight";
const std::string kHead = "lm_head.weight";

struct PrefixCase {
  std::string prefix;  // of the decoder
  std::string head;
};

const PrefixCase kPrefixes[] = {
    {"model.", "lm_head.weight"},
    {"", "lm_head.weight"},
    {"language_model.model.", "language_model.lm_head.weight"},
    {"language_model.", "lm_head.weight"},
    {"model.language_model.", "lm_head.weight"},
    {"model.language_model.model.", "model.language_model.lm_head.weight"},
    {"model.text_model.", "lm_head.weight"},
    {"base_model.model.", "base_model.lm_head.weight"},
    {"base_model.model.model.", "base_model.model.lm_head.weight"},
    {"module.", "module.lm_head.weight"},
    {"module.model.", "module.lm_head.weight"},
    {"module.module.model.", "module.module.lm_head.weight"},
    {"_orig_mod.model.", "_orig_mod.lm_head.weight"},
    {"_orig_mod.module.model.", "_orig_mod.module.lm_head.weight"},
    {"_orig_mod.", "_orig_mod.lm_head.weight"},
    {"base_model.model.model.language_model.", "base_model.model.lm_head.weight"},
};

std::string below(const PrefixCase& to, const std::string& name) {
  if (name == kHead) return to.head;
  return to.prefix + name.substr(std::string("model.").size());
}

class Prefix : public testing::TestWithParam<PrefixCase> {};

TEST_P(Prefix, IsFoundWithTheHeadAndOnceForAllTensors) {
  EditedCheckpoint edited(kUntied);
  edited.rename_all([](const std::string& name) { return below(GetParam(), name); });
  const auto source = open_model(edited.write("prefix"));
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  EXPECT_EQ(source->config.names.decoder_prefix, GetParam().prefix);
  EXPECT_EQ(source->config.names.head, GetParam().head);
  EXPECT_FALSE(source->config.tied_embeddings);
  EXPECT_THAT(source->notes, IsEmpty());
  const auto unused = check_tensors(TensorTable(source->config), *source->checkpoint);
  ASSERT_TRUE(unused.ok()) << message_of(unused.status());
  EXPECT_THAT(*unused, IsEmpty());
}

TEST_P(Prefix, IsPartOfTheNamesInMessages) {
  EditedCheckpoint edited(kUntied);
  edited.rename_all([](const std::string& name) { return below(GetParam(), name); });
  const std::string lost = GetParam().prefix + "layers.1.mlp.up_proj.weight";
  edited.tensors.erase(lost);
  auto source = open_model(edited.write("prefix_lost"));
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  Status status = check_tensors(TensorTable(source->config), *source->checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-007");
  EXPECT_THAT(message_of(status), HasSubstr(": " + lost + ";"));

  edited = EditedCheckpoint(kUntied);
  edited.rename_all([](const std::string& name) { return below(GetParam(), name); });
  edited.tensors.erase(GetParam().head);
  source = open_model(edited.write("prefix_no_head"));
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  status = check_tensors(TensorTable(source->config), *source->checkpoint).status();
  EXPECT_EQ(error_id(status), "TRI-LOAD-007");
  EXPECT_THAT(message_of(status), HasSubstr(GetParam().head + " is missing"));
}

INSTANTIATE_TEST_SUITE_P(Names, Prefix, testing::ValuesIn(kPrefixes), [](const auto& info) {
  return format_text("case{}", info.index);
});

TEST(StoredNames, WithoutAnEmbeddingTheFirstNormGivesThePrefix) {
  EditedCheckpoint edited(kUntied);
  edited.tensors.erase(kEmbedding);
  const PrefixCase to{"module.model.", "module.lm_head.weight"};
  edited.rename_all([&](const std::string& name) { return below(to, name); });
  const auto source = open_model(edited.write("no_embedding"));
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  EXPECT_EQ(source->config.names.embedding, "module.model.embed_tokens.weight");
  const Status status = check_tensors(TensorTable(source->config), *source->checkpoint).status();
  EXPECT_THAT(message_of(status),
              AllOf(HasSubstr("module.model.embed_tokens.weight is missing"),
                    HasSubstr("if the embedding is the head"),
                    HasSubstr("tie_word_embeddings")));
}

void alter_last_byte(EditedTensor& tensor) { tensor.bytes.back() ^= 1; }

Status mixture_status(const std::function<void(EditedTensors&)>& edit) {
  EditedCheckpoint edited(kUntied);
  edit(edited.tensors);
  return open_model(edited.write("mixture")).status();
}

TEST(StoredNames, AMixtureIsRefusedWithBothNames) {
  const std::string norm = "model.layers.2.input_layernorm.weight";
  const auto expect_refusal = [](const Status& status, const std::string& a, const std::string& b) {
    EXPECT_EQ(error_id(status), "TRI-LOAD-020") << message_of(status);
    EXPECT_THAT(message_of(status), AllOf(HasSubstr(a + " "), HasSubstr(b + " ")));
  };
  expect_refusal(mixture_status([&](EditedTensors& tensors) {
                   tensors["module." + norm] = tensors.at(norm);
                   tensors.erase(norm);
                 }),
                 kEmbedding,
                 "module." + norm);
  expect_refusal(mixture_status([&](EditedTensors& tensors) {
                   tensors["language_model." + norm] = tensors.at(norm);
                 }),
                 kEmbedding,
                 "language_model." + norm);
  expect_refusal(mixture_status([](EditedTensors& tensors) {
                   tensors["embed_tokens.weight"] = tensors.at(kEmbedding);
                 }),
                 "embed_tokens.weight",
                 kEmbedding);
  expect_refusal(mixture_status([](EditedTensors& tensors) {
                   tensors["model.lm_head.weight"] = tensors.at(kHead);
                   alter_last_byte(tensors.at(kHead));
                 }),
                 "lm_head.weight",
                 "model.lm_head.weight");
  expect_refusal(mixture_status([](EditedTensors& tensors) {
                   tensors["language_model.lm_head.weight"] = tensors.at(kHead);
                   tensors.erase(kHead);
                 }),
                 kEmbedding,
                 "language_model.lm_head.weight");
}

TEST(StoredNames, OtherTowersAndBuffersAreNoMixture) {
  const Status status = mixture_status([](EditedTensors& tensors) {
    for (const char* name : {"vision_tower.transformer.layers.0.norm.weight",
                             "model.vision_tower.layers.0.weight",
                             "visual.norm.weight",
                             "audio_tower.layers.0.norm.weight",
                             "multi_modal_projector.norm.weight",
                             "layers.0.self_attn.rotary_emb.inv_freq",
                             "mtp.layers.0.input_layernorm.weight"}) {
      tensors[name] = zeros("F32", {4}, 32);
    }
  });
  EXPECT_TRUE(status.ok()) << message_of(status);
}

TEST(StoredNames, AHeadMayBeStoredTwiceWithTheSameBytes) {
  for (const PrefixCase& prefix : {kPrefixes[0], kPrefixes[2]}) {
    EditedCheckpoint edited(kUntied);
    edited.rename_all([&](const std::string& name) { return below(prefix, name); });
    const EditedTensor head = edited.tensors.at(prefix.head);
    edited.tensors[kHead] = head;
    edited.tensors["model.lm_head.weight"] = head;
    if (prefix.prefix != "model.") edited.tensors.erase("model.lm_head.weight");
    const auto source = open_model(edited.write("two_heads"));
    ASSERT_TRUE(source.ok()) << message_of(source.status());
    EXPECT_THAT(source->notes, IsEmpty());
    EXPECT_FALSE(source->config.tied_embeddings);
    const auto unused = check_tensors(TensorTable(source->config), *source->checkpoint);
    ASSERT_TRUE(unused.ok()) << message_of(unused.status());
    EXPECT_THAT(*unused, IsEmpty());
  }
}

// A tying of head and embedding by the tensors that are stored.
struct TyingCase {
  const char* name;
  bool tie;
  std::function<void(EditedTensors&)> edit;  // of the tied golden, which stores the embedding alone
  bool tied;
  bool has_note;
  const char* embedding;  // the name that it is read from
};

const TyingCase kTyings[] = {
    {"EmbeddingAlone", true, [](EditedTensors&) {}, true, false, "model.embed_tokens.weight"},
    {"HeadAlone",
     true,
     [](EditedTensors& tensors) {
       tensors[kHead] = tensors.at(kEmbedding);
       tensors.erase(kEmbedding);
     },
     true,
     false,
     "lm_head.weight"},
    {"EqualCopy",
     true,
     [](EditedTensors& tensors) { tensors[kHead] = tensors.at(kEmbedding); },
     true,
     false,
     "model.embed_tokens.weight"},
    {"OneBitDiffers",
     true,
     [](EditedTensors& tensors) {
       tensors[kHead] = tensors.at(kEmbedding);
       alter_last_byte(tensors.at(kHead));
     },
     false,
     true,
     "model.embed_tokens.weight"},
    {"EqualCopyButNotTied",
     false,
     [](EditedTensors& tensors) { tensors[kHead] = tensors.at(kEmbedding); },
     false,
     false,
     "model.embed_tokens.weight"},
    {"OtherType",
     true,
     [](EditedTensors& tensors) {
       EditedTensor head = tensors.at(kEmbedding);
       head.dtype = "BF16";
       head.bytes.resize(head.bytes.size() / 2);
       tensors[kHead] = head;
     },
     false,
     true,
     "model.embed_tokens.weight"},
    {"OtherShape",
     true,
     [](EditedTensors& tensors) {
       tensors[kHead] = zeros("F32", {7, 3}, 32);
     },
     false,
     true,
     "model.embed_tokens.weight"},
};

class Tying : public testing::TestWithParam<TyingCase> {};

TEST_P(Tying, IsDecidedByWhatIsStored) {
  EditedCheckpoint edited(kTied);
  edited.config["tie_word_embeddings"] = GetParam().tie;
  GetParam().edit(edited.tensors);
  const auto source = open_model(edited.write("tying"));
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  EXPECT_EQ(source->config.tied_embeddings, GetParam().tied);
  EXPECT_EQ(source->config.names.embedding, GetParam().embedding);
  if (GetParam().has_note) {
    EXPECT_THAT(source->notes,
                ElementsAre(AllOf(HasSubstr("lm_head.weight"),
                                  HasSubstr("tie_word_embeddings"),
                                  HasSubstr(std::string(GetParam().name) == "OtherType"
                                                ? "stored with different types"
                                                : "stored with different values"),
                                  HasSubstr("the stored head is used"))));
  } else {
    EXPECT_THAT(source->notes, IsEmpty());
  }
  const auto unused = check_tensors(TensorTable(source->config), *source->checkpoint);
  if (std::string(GetParam().name) == "OtherShape") {
    EXPECT_EQ(error_id(unused.status()), "TRI-LOAD-008");
  } else {
    ASSERT_TRUE(unused.ok()) << message_of(unused.status());
    EXPECT_THAT(*unused, IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Tying, testing::ValuesIn(kTyings), [](const auto& info) {
  return std::string(info.param.name);
});

TEST(StoredNames, AMissingHeadOfAnUntiedModelNamesTheFieldThatTiesIt) {
  EditedCheckpoint edited(kTied);
  edited.config["tie_word_embeddings"] = false;
  const auto source = open_model(edited.write("no_head"));
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const Status status = check_tensors(TensorTable(source->config), *source->checkpoint).status();
  EXPECT_EQ(message_of(status),
            "TRI-LOAD-007: lm_head.weight is missing; if the head is the embedding, set "
            "\"tie_word_embeddings\": true in config.json");
}

// The comparison reads blocks of 4 MiB of each tensor: memory does not grow with the vocabulary.
TEST(StoredNames, AComparisonReportsItsProgressAndStopsAtTheFirstDifference) {
  EditedCheckpoint edited(kTied);
  constexpr int64_t kRows = 70'000;
  const int64_t hidden = edited.tensors.at(kEmbedding).shape[1];
  edited.config["vocab_size"] = kRows;
  edited.tensors[kEmbedding] = zeros("F32", {kRows, hidden}, 32);
  edited.tensors[kHead] = edited.tensors.at(kEmbedding);
  const int64_t bytes = kRows * hidden * 4;
  int64_t blocks = 0;
  const auto equal = open_model(edited.write("blocks"), 0, [&] { ++blocks; });
  ASSERT_TRUE(equal.ok()) << message_of(equal.status());
  EXPECT_TRUE(equal->config.tied_embeddings);
  EXPECT_EQ(equal->checkpoint->bytes_read(), 2 * bytes);
  EXPECT_EQ(blocks, (bytes + (4 << 20) - 1) / (4 << 20));
  edited.tensors.at(kHead).bytes.front() ^= 1;
  const auto different = open_model(edited.write("blocks"));
  ASSERT_TRUE(different.ok()) << message_of(different.status());
  EXPECT_FALSE(different->config.tied_embeddings);
  EXPECT_LE(different->checkpoint->bytes_read(), 8 << 20);
}

}  // namespace stored_names_test
}  // namespace trireme
