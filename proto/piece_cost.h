// The credit that parts of an answer cost (credit.h), from their messages. Client and coordinator
// count with these functions. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/chat/answer/answer_part.h"
#include "proto/client_messages.h"

namespace trireme {

int64_t cost_of(std::span<const AnswerPart> parts);
int64_t cost_of(const door::Piece& piece);
int64_t cost_of(const door::PromptLogprobs& logprobs);
int64_t cost_of(const door::ProbeValues& values);

// The bytes that Submit.token_bytes adds to the cost of one entry.
int64_t token_bytes_cost(const door::TokenLogprob& entry);

}  // namespace trireme
