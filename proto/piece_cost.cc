#include "proto/piece_cost.h"

#include "proto/credit.h"

namespace trireme {

static int64_t num_pairs(const door::TokenLogprob& entry) {
  return 1 + static_cast<int64_t>(entry.top.size());
}

int64_t token_bytes_cost(const door::TokenLogprob& entry) {
  size_t bytes = entry.token_bytes.size();
  for (const std::string& top : entry.top_bytes) bytes += top.size();
  return static_cast<int64_t>(bytes);
}

int64_t cost_of(std::span<const AnswerPart> parts) {
  int64_t cost = 0;
  for (const AnswerPart& part : parts) {
    cost +=
        part_cost(static_cast<int64_t>(part.call_id.size() + part.name.size() + part.text.size()));
  }
  return cost;
}

int64_t cost_of(const door::Piece& piece) {
  int64_t pairs = 0;
  int64_t bytes = 0;
  for (const door::TokenLogprob& entry : piece.logprobs) {
    pairs += num_pairs(entry);
    bytes += token_bytes_cost(entry);
  }
  return piece_cost(static_cast<int64_t>(piece.token_ids.size()),
                    static_cast<int64_t>(piece.text.size()),
                    pairs) +
         bytes + cost_of(piece.parts);
}

int64_t cost_of(const door::PromptLogprobs& logprobs) {
  int64_t cost = 0;
  for (const door::TokenLogprob& entry : logprobs.entries) {
    cost += prompt_logprobs_cost(num_pairs(entry)) + token_bytes_cost(entry);
  }
  return cost;
}

int64_t cost_of(const door::ProbeValues& values) {
  return probe_cost(static_cast<int64_t>(values.values.size()));
}

}  // namespace trireme
