// Counts of one answer: tokens, and the choices that have ended. Every writer has one. Plain
// arithmetic over the door's messages.
#pragma once

#include <cstdint>
#include <vector>

#include "clients/gateway/api/answers/answer_options.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

struct TokenUsage {
  int64_t prompt = 0;
  int64_t output = 0;
  int64_t cached = 0;     // of the prompt
  int64_t reasoning = 0;  // of the output
};

class AnswerCounts {
 public:
  explicit AnswerCounts(const AnswerOptions& options);

  void on_accepted(int prompt, const door::Accepted& accepted);
  void on_piece(const door::Piece& piece) { drawn_ += std::ssize(piece.token_ids); }
  void on_finished(int prompt, const door::Finished& finished);

  // The place of a choice among all choices of all prompts, or -1: none such.
  int index_of(int prompt, int32_t choice) const;
  bool all_ended() const { return ended_ == num_total_; }
  // The counts so far: until the end, no cached and no reasoning tokens.
  TokenUsage usage() const;

 private:
  struct PromptCounts {
    int64_t tokens = 0;
    int64_t cached = -1;  // none of its choices has ended
  };

  const int32_t num_choices_;
  const int32_t num_total_;
  std::vector<PromptCounts> prompts_;
  int64_t drawn_ = 0;
  int64_t finished_output_ = 0;
  int64_t reasoning_ = 0;
  int32_t ended_ = 0;
};

}  // namespace trireme::gateway
