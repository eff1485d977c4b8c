#include "coordinator/doors/clients/answer_messages.h"

#include <utility>
#include <vector>

#include "proto/error_kind.h"

namespace trireme {
namespace {

// `bytes`: empty, or parallel to `entries`.
std::vector<door::TokenLogprob> to_door(std::vector<LogprobEntry> entries,
                                        std::vector<TokenBytes> bytes) {
  std::vector<door::TokenLogprob> logprobs;
  logprobs.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    door::TokenLogprob& logprob = logprobs.emplace_back();
    logprob.token = entries[i].token;
    logprob.top = std::move(entries[i].top);
    if (i >= bytes.size()) continue;
    logprob.token_bytes = std::move(bytes[i].token);
    logprob.top_bytes = std::move(bytes[i].top);
  }
  return logprobs;
}

door::FinishReason to_door(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return door::FinishReason::kStop;
    case FinishReason::kLength:
      return door::FinishReason::kLength;
    case FinishReason::kCancelled:
      return door::FinishReason::kCancelled;
    case FinishReason::kToolCalls:
      return door::FinishReason::kToolCalls;
    case FinishReason::kError:
      break;
  }
  return door::FinishReason::kFailed;
}

}  // namespace

std::string id_to_wire(const RequestId& id) {
  std::string bytes(16, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[static_cast<size_t>(i)] = static_cast<char>(id.high >> (56 - 8 * i));
    bytes[static_cast<size_t>(i) + 8] = static_cast<char>(id.low >> (56 - 8 * i));
  }
  return bytes;
}

RequestId id_from_wire(std::string_view bytes) {
  RequestId id;
  for (size_t i = 0; i < 8; ++i) {
    id.high = id.high << 8 | static_cast<uint8_t>(bytes[i]);
    id.low = id.low << 8 | static_cast<uint8_t>(bytes[i + 8]);
  }
  return id;
}

door::Accepted to_message(const effect::Accept& effect,
                          const door::ModelInfo& model,
                          const PublicIdKey& public_id_key) {
  door::Accepted accepted;
  accepted.tag = effect.client_tag;
  accepted.request_id = id_to_wire(effect.request);
  accepted.seed = effect.seed;
  accepted.prompt_tokens = effect.prompt_tokens;
  accepted.repeated_key = effect.repeated;
  accepted.public_id = public_id_of(effect.request, public_id_key);
  accepted.model = model.name;
  accepted.version = model.version;
  accepted.fingerprint = model.fingerprint;
  accepted.prompt_ids = effect.prompt_ids;
  accepted.client_state = effect.client_state;
  return accepted;
}

door::Piece to_message(effect::Tokens effect) {
  door::Piece piece;
  piece.tag = effect.client_tag;
  piece.choice = effect.choice;
  piece.first_index = effect.first_index;
  piece.token_ids = std::move(effect.ids);
  piece.text = std::move(effect.text);
  piece.echo_bytes = effect.echo_bytes;
  piece.logprobs = to_door(std::move(effect.logprobs), std::move(effect.token_bytes));
  piece.parts = std::move(effect.parts);
  return piece;
}

door::PromptLogprobs to_message(effect::PromptLogprobs effect) {
  door::PromptLogprobs message;
  message.tag = effect.client_tag;
  message.first_position = effect.entries.front().position;
  message.entries = to_door(std::move(effect.entries), std::move(effect.token_bytes));
  return message;
}

door::ProbeValues to_message(effect::ProbeValues effect) {
  door::ProbeValues message;
  message.tag = effect.client_tag;
  message.position = effect.probe.position;
  message.layer = effect.probe.layer;
  message.offset = effect.probe.offset;
  message.num_values = effect.probe.num_values;
  message.values = std::move(effect.probe.values);
  return message;
}

door::Finished to_message(effect::Finish effect) {
  door::Finished finished;
  finished.tag = effect.client_tag;
  finished.choice = effect.choice;
  finished.reason = to_door(effect.reason);
  finished.stop_string = std::move(effect.stop_string);
  finished.stop_token_id = effect.stop_token;
  finished.text = std::move(effect.text);
  if (!effect.error.ok()) {
    finished.error_id = error_id(effect.error);
    finished.error_message = message_of(effect.error);
    finished.error_kind = kind_of(effect.error);
  }
  finished.prompt_tokens = effect.prompt_tokens;
  finished.output_tokens = effect.output_tokens;
  finished.cached_tokens = effect.cached_tokens;
  finished.queued_us = effect.queued_us;
  finished.first_token_us = effect.first_token_us;
  finished.total_us = effect.total_us;
  finished.last_choice = effect.last_choice;
  finished.invariant = effect.invariant;
  finished.parts = std::move(effect.parts);
  finished.reasoning_tokens = effect.reasoning_tokens;
  finished.tokenize_us = effect.tokenize_us;
  finished.prefill_us = effect.prefill_us;
  return finished;
}

door::Progress to_message(const effect::Progress& effect) {
  return {effect.client_tag, effect.queue_position, effect.prompt_done, effect.prompt_tokens};
}

}  // namespace trireme
