#include "clients/gateway/api/answers/answer_counts.h"

#include <algorithm>

namespace trireme::gateway {

AnswerCounts::AnswerCounts(const AnswerOptions& options)
    : num_choices_(options.num_choices),
      num_total_(options.num_choices * options.num_prompts),
      prompts_(options.num_prompts) {}

void AnswerCounts::on_accepted(int prompt, const door::Accepted& accepted) {
  if (prompt >= 0 && prompt < std::ssize(prompts_)) {
    prompts_[prompt].tokens = accepted.prompt_tokens;
  }
}

// Choices share the prompt: the one that had the least of it from the cache computed the rest.
void AnswerCounts::on_finished(int prompt, const door::Finished& finished) {
  if (index_of(prompt, finished.choice) < 0) return;
  int64_t& cached = prompts_[prompt].cached;
  cached = cached < 0 ? finished.cached_tokens : std::min<int64_t>(cached, finished.cached_tokens);
  finished_output_ += finished.output_tokens;
  reasoning_ += finished.reasoning_tokens;
  ++ended_;
}

int AnswerCounts::index_of(int prompt, int32_t choice) const {
  const bool exists =
      prompt >= 0 && prompt < std::ssize(prompts_) && choice >= 0 && choice < num_choices_;
  return exists ? prompt * num_choices_ + choice : -1;
}

TokenUsage AnswerCounts::usage() const {
  TokenUsage usage;
  for (const PromptCounts& prompt : prompts_) {
    usage.prompt += prompt.tokens;
    usage.cached += std::max<int64_t>(prompt.cached, 0);
  }
  usage.output = all_ended() ? finished_output_ : drawn_;
  usage.reasoning = reasoning_;
  return usage;
}

}  // namespace trireme::gateway
