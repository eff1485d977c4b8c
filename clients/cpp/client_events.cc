#include "clients/cpp/client_events.h"

#include "proto/piece_cost.h"

namespace trireme {

uint64_t tag_of(const ClientEvent& event) {
  return std::visit(
      [](const auto& value) -> uint64_t {
        if constexpr (requires { value.tag; }) return value.tag;
        return 0;
      },
      event);
}

bool is_end(const ClientEvent& event) {
  const auto* finished = std::get_if<door::Finished>(&event);
  return std::holds_alternative<door::Error>(event) ||
         std::holds_alternative<door::Tokenized>(event) ||
         std::holds_alternative<door::Detokenized>(event) ||
         (finished != nullptr && finished->last_choice);
}

int64_t credit_cost(const ClientEvent& event) {
  if (const auto* piece = std::get_if<door::Piece>(&event)) return cost_of(*piece);
  if (const auto* logprobs = std::get_if<door::PromptLogprobs>(&event)) return cost_of(*logprobs);
  if (const auto* values = std::get_if<door::ProbeValues>(&event)) return cost_of(*values);
  return 0;
}

}  // namespace trireme
