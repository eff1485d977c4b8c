// Small shapes and requests for tests of the Engine.
#pragma once

#include "coordinator/engine/engine.h"
#include "tests/simulation/simulated_cluster.h"

namespace trireme {

inline constexpr int32_t kVocabulary = 4096;

inline GroupShape shape_of(int32_t stages = 1, int32_t pages = 256) {
  GroupShape shape;
  shape.epoch = 1;
  shape.num_pages = pages;
  shape.page_tokens = 4;
  shape.num_stages = stages;
  shape.max_slots = 64;
  shape.max_batched_tokens = 64;
  shape.max_model_len = 200;
  return shape;
}

inline EngineOptions options_of(const Tokenizer* tokenizer = nullptr) {
  EngineOptions options;
  options.vocabulary_size = kVocabulary;
  options.tokenizer = tokenizer;
  options.max_slots = 64;
  options.max_batched_tokens = 64;
  return options;
}

inline SubmitRequest prompt_of(int32_t length, int32_t max_tokens, uint64_t seed = 1) {
  SubmitRequest submit;
  submit.connection = 1;
  for (int32_t i = 0; i < length; ++i) submit.prompt.push_back(100 + i);
  submit.params.max_tokens = max_tokens;
  submit.params.seed = seed;
  submit.params.ignore_eos = true;
  submit.credit_bytes = 1 << 20;
  return submit;
}

inline std::vector<TokenId> alone(const SubmitRequest& submit, int32_t count, uint32_t choice = 0) {
  return expected_tokens(submit.prompt, *submit.params.seed, choice, count, kVocabulary);
}

}  // namespace trireme
