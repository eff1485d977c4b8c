#include "model/tokenizer/tokenizer_class_table.h"

#include <algorithm>

namespace trireme {
namespace {

constexpr std::string_view kFileAlone = "";

// The class of a model type (TOKENIZER_MAPPING_NAMES; only classes with a BPE model that change
// ids). A tokenizer_class of the files replaces it, unless the type takes the file alone or its
// published files name a wrong class (MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS): `is_forced`.
struct ModelType {
  std::string_view type;
  std::string_view name;
  bool is_forced = false;
};
constexpr ModelType kModelTypes[] = {{"EvollaModel", kFileAlone},
                                     {"aria", kFileAlone},
                                     {"audioflamingo3", "Qwen2Tokenizer"},
                                     {"aya_vision", "CohereTokenizer"},
                                     {"bart", "RobertaTokenizer"},
                                     {"beam", kFileAlone},
                                     {"bigbird_pegasus", kFileAlone},
                                     {"blip-2", "GPT2Tokenizer"},
                                     {"bridgetower", "RobertaTokenizer"},
                                     {"canary", kFileAlone},
                                     {"clap", "RobertaTokenizer"},
                                     {"codegen", "GPT2Tokenizer"},
                                     {"cohere", "CohereTokenizer"},
                                     {"cohere2", "CohereTokenizer"},
                                     {"cohere_asr", kFileAlone},
                                     {"colqwen2", "Qwen2Tokenizer"},
                                     {"cosmos3_omni", "Qwen2Tokenizer"},
                                     {"data2vec-text", "RobertaTokenizer"},
                                     {"dbrx", "GPT2Tokenizer"},
                                     {"diffusion_gemma", "GemmaTokenizer"},
                                     {"dots3_note", "Qwen2Tokenizer"},
                                     {"emu3", "GPT2Tokenizer"},
                                     {"ernie4_5", kFileAlone},
                                     {"ernie4_5_moe", kFileAlone},
                                     {"falcon_mamba", "GPTNeoXTokenizer"},
                                     {"flex_olmo", kFileAlone},
                                     {"florence2", "BartTokenizer"},
                                     {"fun_asr_nano", "Qwen2Tokenizer"},
                                     {"fuyu", kFileAlone},
                                     {"gemma", "GemmaTokenizer"},
                                     {"gemma2", "GemmaTokenizer"},
                                     {"gemma3", "GemmaTokenizer"},
                                     {"gemma3_text", "GemmaTokenizer"},
                                     {"gemma3n", "GemmaTokenizer"},
                                     {"gemma3n_text", "GemmaTokenizer"},
                                     {"glm", kFileAlone},
                                     {"glm4", kFileAlone},
                                     {"glm4_moe", kFileAlone},
                                     {"glm4_moe_lite", kFileAlone},
                                     {"glm4v", kFileAlone},
                                     {"glm4v_moe", kFileAlone},
                                     {"glm_image", kFileAlone},
                                     {"glmasr", kFileAlone},
                                     {"got_ocr2", kFileAlone},
                                     {"gpt2", "GPT2Tokenizer"},
                                     {"gpt_bigcode", kFileAlone},
                                     {"gpt_neo", "GPT2Tokenizer"},
                                     {"gpt_neox", "GPTNeoXTokenizer"},
                                     {"gptj", "GPT2Tokenizer"},
                                     {"gradium_phonon_tts", kFileAlone},
                                     {"granite", kFileAlone},
                                     {"granitemoe", kFileAlone},
                                     {"granitemoehybrid", kFileAlone},
                                     {"granitemoeshared", kFileAlone},
                                     {"hunyuan_vl", "Qwen2Tokenizer"},
                                     {"hyperclovax", kFileAlone},
                                     {"hyperclovax_vision_v2", "GPT2Tokenizer", true},
                                     {"ibert", "RobertaTokenizer"},
                                     {"idefics", "LlamaTokenizer"},
                                     {"idefics2", "LlamaTokenizer"},
                                     {"instructblip", "GPT2Tokenizer"},
                                     {"instructblipvideo", "GPT2Tokenizer"},
                                     {"internlm3", kFileAlone},
                                     {"internvl", "Qwen2Tokenizer"},
                                     {"iquestcoder", kFileAlone},
                                     {"jais2", "GPT2Tokenizer"},
                                     {"jamba", kFileAlone},
                                     {"kimi_k25", kFileAlone},
                                     {"kimi_linear", kFileAlone},
                                     {"kosmos-2", kFileAlone},
                                     {"lighton_ocr", "Qwen2Tokenizer"},
                                     {"lilt", "RobertaTokenizer"},
                                     {"llava", kFileAlone},
                                     {"llava_next", kFileAlone},
                                     {"longformer", "RobertaTokenizer"},
                                     {"mamba", "GPTNeoXTokenizer"},
                                     {"mamba2", "GPTNeoXTokenizer"},
                                     {"mimo_v2_flash", kFileAlone},
                                     {"minicpm3", kFileAlone},
                                     {"minicpm_ocr", kFileAlone},
                                     {"minicpmv4_6", kFileAlone},
                                     {"minicpmv4_7", kFileAlone},
                                     {"minimax_m2", kFileAlone},
                                     {"ministral", kFileAlone},
                                     {"ministral3", kFileAlone},
                                     {"mistral", kFileAlone},
                                     {"mistral3", kFileAlone},
                                     {"mistral_large4", kFileAlone},
                                     {"mixtral", kFileAlone},
                                     {"modernbert", kFileAlone},
                                     {"modernbert-decoder", kFileAlone},
                                     {"molmo2", kFileAlone},
                                     {"moss_transcribe_diarize", "Qwen2Tokenizer"},
                                     {"mpt", "GPTNeoXTokenizer"},
                                     {"mra", "RobertaTokenizer"},
                                     {"nemo_speechlm", kFileAlone},
                                     {"nemotron", kFileAlone},
                                     {"nystromformer", kFileAlone},
                                     {"olmo", "GPTNeoXTokenizer"},
                                     {"olmo2", kFileAlone},
                                     {"olmo3", kFileAlone},
                                     {"olmo_hybrid", kFileAlone},
                                     {"olmoe", "GPTNeoXTokenizer"},
                                     {"omniasr", kFileAlone},
                                     {"opt", "GPT2Tokenizer"},
                                     {"ovis2", "Qwen2Tokenizer"},
                                     {"paddleocr_vl", kFileAlone},
                                     {"pegasus_x", kFileAlone},
                                     {"persimmon", kFileAlone},
                                     {"phi", "GPT2Tokenizer"},
                                     {"phi3", kFileAlone},
                                     {"phimoe", kFileAlone},
                                     {"pix2struct", kFileAlone},
                                     {"pixtral", kFileAlone},
                                     {"pocket_tts", kFileAlone},
                                     {"qianfan_ocr", "Qwen2Tokenizer"},
                                     {"qwen2", "Qwen2Tokenizer", true},
                                     {"qwen2_5_omni", "Qwen2Tokenizer"},
                                     {"qwen2_5_vl", "Qwen2Tokenizer"},
                                     {"qwen2_audio", "Qwen2Tokenizer"},
                                     {"qwen2_moe", "Qwen2Tokenizer"},
                                     {"qwen2_vl", "Qwen2Tokenizer"},
                                     {"qwen3", "Qwen2Tokenizer"},
                                     {"qwen3_5", "Qwen3_5Tokenizer", true},
                                     {"qwen3_5_moe", "Qwen3_5Tokenizer", true},
                                     {"qwen3_5_moe_text", "Qwen3_5Tokenizer", true},
                                     {"qwen3_5_text", "Qwen3_5Tokenizer"},
                                     {"qwen3_asr", "Qwen2Tokenizer"},
                                     {"qwen3_moe", "Qwen2Tokenizer"},
                                     {"qwen3_next", "Qwen2Tokenizer"},
                                     {"qwen3_omni_moe", "Qwen2Tokenizer"},
                                     {"qwen3_vl", "Qwen2Tokenizer"},
                                     {"qwen3_vl_moe", "Qwen2Tokenizer"},
                                     {"qwen4_exp", "Qwen3_5Tokenizer", true},
                                     {"recurrent_gemma", "GemmaTokenizer"},
                                     {"roberta", "RobertaTokenizer"},
                                     {"roberta-prelayernorm", "RobertaTokenizer"},
                                     {"rwkv", "GPTNeoXTokenizer"},
                                     {"shieldgemma2", "GemmaTokenizer"},
                                     {"smolvlm", kFileAlone},
                                     {"stablelm", kFileAlone},
                                     {"starcoder2", "GPT2Tokenizer"},
                                     {"t5gemma", "GemmaTokenizer"},
                                     {"umt5", kFileAlone},
                                     {"vibevoice", "Qwen2Tokenizer"},
                                     {"vipllava", kFileAlone},
                                     {"voxtral", kFileAlone},
                                     {"voxtral_realtime", kFileAlone},
                                     {"whisper", "WhisperTokenizer"},
                                     {"xlm-roberta-xl", kFileAlone},
                                     {"xlstm", "GPTNeoXTokenizer"},
                                     {"zaya", "GemmaTokenizer"}};

// The special tokens that a class has where the files do not name others.
struct ClassToken {
  std::string_view tokenizer_class;
  std::string_view name;
  std::string_view content;
};
constexpr ClassToken kClassTokens[] = {{"CodeGenTokenizer", "bos_token", "<|endoftext|>"},
                                       {"CodeGenTokenizer", "eos_token", "<|endoftext|>"},
                                       {"CodeGenTokenizer", "unk_token", "<|endoftext|>"},
                                       {"CodeLlamaTokenizer", "bos_token", "<s>"},
                                       {"CodeLlamaTokenizer", "eos_token", "</s>"},
                                       {"CodeLlamaTokenizer", "unk_token", "<unk>"},
                                       {"CodeLlamaTokenizer", "prefix_token", "\xE2\x96\x81<PRE>"},
                                       {"CodeLlamaTokenizer", "middle_token", "\xE2\x96\x81<MID>"},
                                       {"CodeLlamaTokenizer", "suffix_token", "\xE2\x96\x81<SUF>"},
                                       {"CodeLlamaTokenizer", "eot_token", "\xE2\x96\x81<EOT>"},
                                       {"CodeLlamaTokenizer", "fill_token", "<FILL_ME>"},
                                       {"CohereTokenizer", "bos_token", "<BOS_TOKEN>"},
                                       {"CohereTokenizer", "eos_token", "<|END_OF_TURN_TOKEN|>"},
                                       {"CohereTokenizer", "unk_token", "<UNK>"},
                                       {"CohereTokenizer", "sep_token", "<SEP>"},
                                       {"CohereTokenizer", "pad_token", "<PAD>"},
                                       {"CohereTokenizer", "cls_token", "<CLS>"},
                                       {"CohereTokenizer", "mask_token", "<MASK_TOKEN>"},
                                       {"GPT2Tokenizer", "bos_token", "<|endoftext|>"},
                                       {"GPT2Tokenizer", "eos_token", "<|endoftext|>"},
                                       {"GPT2Tokenizer", "unk_token", "<|endoftext|>"},
                                       {"GPTNeoXTokenizer", "bos_token", "<|endoftext|>"},
                                       {"GPTNeoXTokenizer", "eos_token", "<|endoftext|>"},
                                       {"GPTNeoXTokenizer", "unk_token", "<|endoftext|>"},
                                       {"GPTNeoXTokenizer", "pad_token", "<|padding|>"},
                                       {"GemmaTokenizer", "bos_token", "<bos>"},
                                       {"GemmaTokenizer", "eos_token", "<eos>"},
                                       {"GemmaTokenizer", "unk_token", "<unk>"},
                                       {"GemmaTokenizer", "pad_token", "<pad>"},
                                       {"GemmaTokenizer", "mask_token", "<mask>"},
                                       {"LlamaTokenizer", "bos_token", "<s>"},
                                       {"LlamaTokenizer", "eos_token", "</s>"},
                                       {"LlamaTokenizer", "unk_token", "<unk>"},
                                       {"Qwen2Tokenizer", "eos_token", "<|endoftext|>"},
                                       {"Qwen2Tokenizer", "unk_token", "<|endoftext|>"},
                                       {"Qwen2Tokenizer", "pad_token", "<|endoftext|>"},
                                       {"Qwen3_5Tokenizer", "eos_token", "<|endoftext|>"},
                                       {"Qwen3_5Tokenizer", "unk_token", "<|endoftext|>"},
                                       {"Qwen3_5Tokenizer", "pad_token", "<|endoftext|>"},
                                       {"RobertaTokenizer", "bos_token", "<s>"},
                                       {"RobertaTokenizer", "eos_token", "</s>"},
                                       {"RobertaTokenizer", "unk_token", "<unk>"},
                                       {"RobertaTokenizer", "sep_token", "</s>"},
                                       {"RobertaTokenizer", "pad_token", "<pad>"},
                                       {"RobertaTokenizer", "cls_token", "<s>"},
                                       {"RobertaTokenizer", "mask_token", "<mask>"},
                                       {"WhisperTokenizer", "bos_token", "<|endoftext|>"},
                                       {"WhisperTokenizer", "eos_token", "<|endoftext|>"},
                                       {"WhisperTokenizer", "unk_token", "<|endoftext|>"}};

bool is_row(const ClassToken& row, std::string_view tokenizer_class, std::string_view name) {
  return row.tokenizer_class == tokenizer_class && row.name == name;
}

// Collects the tokens by name.
class NamedList {
 public:
  NamedList(const TokenizerSettings& settings, std::string_view tokenizer_class)
      : settings_(settings), class_(tokenizer_class) {}

  // The token of the files; else that of the class, unless the files state null.
  void add(std::string_view name) {
    const auto known =
        std::find_if(settings_.named.rbegin(), settings_.named.rend(), [&](const NamedToken& each) {
          return each.name == name;  // the last counts
        });
    if (known != settings_.named.rend()) return tokens_.push_back(known->token);
    const auto& nulls = settings_.nulls;
    if (std::find(nulls.begin(), nulls.end(), name) != nulls.end()) return;
    add_of_class(name);
  }
  void add_of_class(std::string_view name) {
    for (const ClassToken& row : kClassTokens) {
      if (is_row(row, class_, name)) tokens_.push_back(special_token(std::string(row.content)));
    }
  }
  bool is_of_class(std::string_view name) const {
    return std::any_of(std::begin(kClassTokens),
                       std::end(kClassTokens),
                       [&](const ClassToken& row) { return is_row(row, class_, name); });
  }
  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  const TokenizerSettings& settings_;
  std::string_view class_;
  std::vector<AddedToken> tokens_;
};

}  // namespace

std::string_view tokenizer_class_of(const TokenizerSettings& settings, bool is_byte_level) {
  std::string_view name = settings.tokenizer_class;
  if (name.ends_with("Fast")) name.remove_suffix(4);
  // The name of this class stands in files of byte-level models too, whose file counts alone.
  if (name == "LlamaTokenizer" && is_byte_level) name = "TokenizersBackend";
  const auto* const row =
      std::find_if(std::begin(kModelTypes), std::end(kModelTypes), [&](const ModelType& each) {
        return each.type == settings.model_type;
      });
  if (row != std::end(kModelTypes) && (row->is_forced || row->name == kFileAlone || name.empty())) {
    name = row->name;
  }
  return name == "BartTokenizer" ? "RobertaTokenizer" : name;
}

std::vector<AddedToken> named_tokens(const TokenizerSettings& settings,
                                     std::string_view tokenizer_class) {
  NamedList list(settings, tokenizer_class);
  for (const std::string_view name : kNamedTokens) list.add(name);
  for (const ClassToken& row : kClassTokens) {
    if (row.tokenizer_class == tokenizer_class && !is_named(row.name)) list.add(row.name);
  }
  for (const NamedToken& known : settings.named) {
    if (!is_named(known.name) && !list.is_of_class(known.name)) list.add(known.name);
  }
  if (settings.extra.empty()) {  // CodeLlama: its five also stand for extra tokens
    for (const NamedToken& known : settings.named) {
      if (!is_named(known.name)) list.add_of_class(known.name);
    }
  }
  return list.take();
}

}  // namespace trireme
