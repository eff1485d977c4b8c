#include "model/checkpoint/tensor_names.h"

#include <algorithm>

#include "base/text.h"

namespace trireme {

namespace {

constexpr size_t kMaxShownChars = 100;

// Modules around a decoder: of multimodal models, of adapters (PEFT), of data parallel training, of
// torch.compile and of sharded training.
constexpr std::string_view kWrappers[] = {"model",
                                          "language_model",
                                          "text_model",
                                          "base_model",
                                          "module",
                                          "_orig_mod",
                                          "_fsdp_wrapped_module",
                                          "_forward_module"};

// Words in the names of modules that serve other inputs than text.
constexpr std::string_view kOtherInputs[] = {"vision",
                                             "visual",
                                             "image",
                                             "video",
                                             "audio",
                                             "speech",
                                             "patch",
                                             "multi_modal",
                                             "projector",
                                             "connector",
                                             "newline",
                                             "prompt"};

std::string_view first_word(std::string_view name) { return name.substr(0, name.find('.')); }

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

bool contains_any(std::string_view text, const auto& words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return contains(text, word); });
}

// Whether the module belongs to the arithmetic of a decoder: other tables beside the embedding,
// other norms and changes of the logits alter its result, too.
bool is_decoder_module(std::string_view module) {
  constexpr std::string_view kNames[] = {
      "layers", "wte", "wpe", "logit_scale", "final_logits_bias"};
  if (std::ranges::find(kNames, module) != std::end(kNames)) return true;
  const bool table_or_norm =
      contains(module, "embed") || contains(module, "norm") || module.starts_with("ln_");
  return table_or_norm && !contains_any(module, kOtherInputs);
}

bool is_head_module(std::string_view module) {
  return module.starts_with("lm_head") || module == "embed_out";
}

// "language_model." of "language_model.model."; "" of "model.".
std::string_view without_last_word(std::string_view prefix) {
  const size_t dot = prefix.substr(0, prefix.size() - 1).rfind('.');
  return dot == std::string_view::npos ? std::string_view() : prefix.substr(0, dot + 1);
}

}  // namespace

SplitName split_name(std::string_view name) {
  size_t length = 0;
  while (true) {
    const std::string_view word = first_word(name.substr(length));
    const bool is_last = length + word.size() == name.size();
    if (is_last || std::ranges::find(kWrappers, word) == std::end(kWrappers)) break;
    length += word.size() + 1;
  }
  return {name.substr(0, length), name.substr(length)};
}

bool is_decoder_weight(std::string_view rest) {
  const std::string_view module = first_word(rest);
  return module == "embed_tokens" || module == "layers" || module == "norm";
}

bool is_outer_part(std::string_view outer, std::string_view prefix) {
  return prefix.starts_with(outer) && (outer.empty() || outer.ends_with('.'));
}

std::string usual_head_name(std::string_view prefix) {
  if (prefix.ends_with("language_model.") || prefix.ends_with("text_model.")) {
    prefix = without_last_word(prefix);
  }
  if (prefix == "model." || prefix.ends_with(".model.")) prefix = without_last_word(prefix);
  return std::string(prefix) + "lm_head.weight";
}

bool is_of_decoder(std::string_view name, const StoredNames& names) {
  const SplitName split = split_name(name);
  const std::string_view module = first_word(split.rest);
  const std::string_view prefix = names.decoder_prefix;
  if (!is_outer_part(split.prefix, prefix)) return false;
  if (is_head_module(module)) return true;
  // A wrapper keeps its other parts beside the text model: norms of a projector, CLIP's
  // logit_scale.
  const std::string_view inner = prefix.substr(split.prefix.size());
  const bool is_beside = contains(inner, "language_model.") || contains(inner, "text_model.");
  return !is_beside && is_decoder_module(module);
}

bool is_harmless(const StoredTensor& tensor) {
  const std::vector<std::string> words = split(tensor.name, '.');
  const std::string& last = words.back();
  const std::string parent = words.size() > 1 ? words[words.size() - 2] : "";
  if (last.ends_with("inv_freq")) return true;
  constexpr std::string_view kAttention[] = {"attn", "self_attn", "attention"};
  if (last == "bias" && std::ranges::find(kAttention, parent) != std::end(kAttention)) {
    return tensor.shape.size() != 1;  // a mask of [1, 1, n, n]; a bias would be a vector
  }
  constexpr std::string_view kBuffers[] = {"cos_cached",
                                           "sin_cached",
                                           "position_ids",
                                           "masked_bias",
                                           "causal_mask",
                                           "attn_mask",
                                           "attention_mask"};
  return std::ranges::find(kBuffers, last) != std::end(kBuffers);
}

std::string cause_of_unexpected(const std::vector<std::string>& names) {
  const auto any = [&](const auto& words) {
    return std::ranges::any_of(names,
                               [&](const std::string& name) { return contains_any(name, words); });
  };
  constexpr std::string_view kAdapter[] = {"lora_", ".base_layer.", ".modules_to_save."};
  if (any(kAdapter)) return "these are weights of an adapter; merge it into the model first";
  constexpr std::string_view kQuantised[] = {"weight_scale",
                                             "input_scale",
                                             "k_scale",
                                             "v_scale",
                                             "scale_inv",
                                             ".scales",
                                             "zero_point",
                                             "qweight",
                                             "qzeros",
                                             "g_idx",
                                             "weight_packed",
                                             "absmax",
                                             "quant_"};
  if (any(kQuantised)) return "quantised weights are not supported, use the bf16 checkpoint";
  return "";
}

std::string shown_name(std::string_view name) {
  std::string text(name.substr(0, kMaxShownChars));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return name.size() > kMaxShownChars ? text + "..." : text;
}

std::string shown_names(const std::vector<std::string>& names, size_t max) {
  std::vector<std::string> shown;
  for (const std::string& name : names) {
    if (shown.size() == max) break;
    shown.push_back(shown_name(name));
  }
  return join(shown) + (names.size() > max ? ", ..." : "");
}

}  // namespace trireme
