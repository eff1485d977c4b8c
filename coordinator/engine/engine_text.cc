#include <sodium.h>

#include <cstring>
#include <utility>

#include "coordinator/engine/engine_state.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

namespace {

// Users see the ids of calls: a one-way function of the request id, which is a secret.
uint64_t call_id_seed(const RequestId& id, int32_t choice) {
  const uint64_t words[] = {id.high, id.low, static_cast<uint64_t>(choice)};
  unsigned char hash[crypto_generichash_BYTES_MIN];
  crypto_generichash(
      hash, sizeof hash, reinterpret_cast<const unsigned char*>(words), sizeof words, nullptr, 0);
  uint64_t seed = 0;
  std::memcpy(&seed, hash, sizeof seed);
  return seed;
}

// A stop string within the first min_tokens does not end the answer.
bool may_stop_at(const Request& request, int32_t index) {
  return index + 1 > request.sampling.min_tokens;
}

}  // namespace

std::vector<TokenBytes> Engine::State::token_bytes_of(
    const std::vector<LogprobEntry>& entries) const {
  std::vector<TokenBytes> bytes;
  if (options_.tokenizer == nullptr) return bytes;
  bytes.resize(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    bytes[i].token = options_.tokenizer->bytes_of(entries[i].token.id);
    for (const TokenAndLogprob& top : entries[i].top) {
      bytes[i].top.push_back(options_.tokenizer->bytes_of(top.id));
    }
  }
  return bytes;
}

// The text of the new ids. It follows an id as soon as its UTF-8 is complete and it cannot be the
// start of a stop string or of a marker.
void Engine::State::emit_text(const Turn& turn, Sequence& sequence) {
  const Request& request = *sequence.request;
  if (sequence.state == SequenceState::kFinished) return;
  const Ending ending = ending_of(sequence);
  const int32_t first = sequence.answer.num_ids();
  const int32_t end = request.num_output(sequence);
  bool is_over = false;
  for (int32_t index = first; index < end && !is_over; ++index) {
    const TokenId id = sequence.ids[request.num_prompt + index];
    is_over = add_text(sequence, id, ending.last_id_is_silent && index + 1 == end);
  }
  if (is_over) {  // ids after the match or the call are dropped
    sequence.ids.resize(request.num_prompt + sequence.answer.num_ids());
  }
  record_ids(sequence, first);
  if (is_over || ending.is_over) finish_text(turn, sequence, is_over, ending);
}

// The next id of the answer. Returns whether a stop string or a complete call ends the answer.
bool Engine::State::add_text(Sequence& sequence, TokenId id, bool is_silent) {
  if (options_.tokenizer == nullptr) {
    sequence.answer.add("", {});
    return false;
  }
  if (!sequence.answer_text) begin_text(sequence);
  AnswerText& text = *sequence.answer_text;
  const bool may_stop = may_stop_at(*sequence.request, sequence.answer.num_ids());
  if (is_silent) {
    text.add_silent(id, may_stop);
  } else {
    text.add(id, may_stop);
  }
  sequence.answer.add(text.take_text(), text.take_parts());
  return is_silent ? !text.stop_string().empty() : text.is_over();
}

// With `echo` the prompt's text belongs to the first id.
void Engine::State::begin_text(Sequence& sequence) {
  const Request& request = *sequence.request;
  const GenerationParams& params = request.submit.params;
  sequence.answer_text.emplace(*options_.tokenizer,
                               params,
                               request.submit.format,
                               call_id_seed(request.id, sequence.choice));
  if (!params.echo) return;
  const std::span<const TokenId> prompt(sequence.ids.data(), request.num_prompt);
  std::string text = options_.tokenizer->decode(prompt, params.skip_special_tokens);
  if (request.submit.format == nullptr) {
    sequence.answer.echo_bytes = static_cast<int32_t>(text.size());
    sequence.answer.text = std::move(text);
  } else {
    sequence.answer.parts.push_back({0, {PartKind::kContent, 0, {}, {}, std::move(text)}});
  }
}

// The ids from `first` on, as part of this event's record.
void Engine::State::record_ids(Sequence& sequence, int32_t first) {
  const int32_t end = sequence.answer.num_ids();
  if (first == end) return;
  std::vector<LogprobEntry> logprobs = std::move(sequence.new_logprobs);
  sequence.new_logprobs.clear();
  if (logprobs.size() > static_cast<size_t>(end - first)) logprobs.resize(end - first);
  sequence.answer.logprobs.insert(sequence.answer.logprobs.end(), logprobs.begin(), logprobs.end());
  const RequestId id = sequence.request->id;
  if (undurable_.keeps_entries()) {
    if (!std::exchange(sequence.request->bound_recorded, true)) {
      undurable_.add(record::Bound{id, sequence.request->compatibility});
    }
    record::Tokens tokens;
    tokens.id = id;
    tokens.choice = sequence.choice;
    const auto ids = sequence.ids.begin() + sequence.first_output;
    tokens.ids.assign(ids + first, ids + end);
    tokens.logprobs = std::move(logprobs);
    undurable_.add(std::move(tokens));
  }
  undurable_.allow({id, sequence.choice, end, false});
}

// `is_over`: by a stop string or a complete call, else by `ending`.
void Engine::State::finish_text(const Turn& turn,
                                Sequence& sequence,
                                bool is_over,
                                const Ending& ending) {
  effect::Finish details;
  FinishReason reason = is_over ? FinishReason::kStop : ending.reason;
  if (!is_over) details.stop_token = ending.stop_token;
  if (AnswerText* const text = sequence.answer_text ? &*sequence.answer_text : nullptr) {
    if (!is_over) text->finish(may_stop_at(*sequence.request, sequence.answer.num_ids() - 1));
    details.text = text->take_text();
    details.parts = text->take_parts();
    details.stop_string = text->stop_string();
    if (!details.stop_string.empty()) reason = FinishReason::kStop;
    if (reason == FinishReason::kStop && text->num_calls() > 0) reason = FinishReason::kToolCalls;
  }
  finish(turn, sequence, reason, std::move(details));
}

}  // namespace trireme
